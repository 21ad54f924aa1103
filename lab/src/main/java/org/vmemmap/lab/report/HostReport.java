// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.HostFacts;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;

/** The model's memmap numbers beside a host's own. */
public final class HostReport {
  private final Table table = new Table("lrrl", "", "model", "host", "");
  private final HostFacts facts;
  private final LabKernel kernel;
  private final String root;
  private int compared;
  private int differences;

  /**
   * Compares.
   *
   * @param root where the facts come from
   * @param kernel the host as a machine, at least until its zones and memmap exist
   */
  public HostReport(String root, HostFacts facts, LabKernel kernel) {
    this.root = root;
    this.facts = facts;
    this.kernel = kernel;
    compare(
        "nr_memmap_boot_pages", kernel.mm().vmstat().nrMemmapBootPages(), facts.memmapBootPages());
    for (PgData node : kernel.mm().nodes().online()) {
      for (Zone zone : node.zones()) {
        if (!zone.isEmpty()) {
          compareZone(zone);
        }
      }
    }
    for (HostFacts.HostZone zone : facts.zones()) {
      if (kernel.mm().nodes().nodeData(zone.node()).zones().length > 0 && isMissing(zone)) {
        differences++;
        table.row(name(zone.node(), zone.name()) + " spanned", "-", zone.spanned(), "differs");
      }
    }
  }

  /** How many numbers are not the same. */
  public int differences() {
    return differences;
  }

  private static String name(int node, String zone) {
    return "Node " + node + ", zone " + zone;
  }

  /** A zone with a span on the host alone; ZONE_DEVICE comes after boot and is not compared. */
  private boolean isMissing(HostFacts.HostZone zone) {
    if (zone.name().equals("Device")) {
      return false;
    }
    for (Zone ours : kernel.mm().nodes().nodeData(zone.node()).zones()) {
      if (ours.name().equals(zone.name())) {
        return ours.isEmpty();
      }
    }
    return true;
  }

  private void compareZone(Zone zone) {
    HostFacts.HostZone host = null;
    for (HostFacts.HostZone candidate : facts.zones()) {
      if (candidate.node() == zone.nid() && candidate.name().equals(zone.name())) {
        host = candidate;
      }
    }
    String name = name(zone.nid(), zone.name());
    long startPfn = host == null ? -1 : host.startPfn();
    compare(name + " start_pfn", zone.zoneStartPfn, startPfn < 0 ? null : startPfn);
    compare(name + " spanned", zone.spannedPages, host == null ? null : host.spanned());
    compare(name + " present", zone.presentPages, host == null ? null : host.present());
  }

  private void compare(String what, long model, @Nullable Long host) {
    compared++;
    boolean same = host != null && host == model;
    differences += same ? 0 : 1;
    table.row(
        what,
        model,
        host == null ? "-" : host,
        same ? "same" : host == null ? "not told" : "differs");
  }

  /** The table, and a line that says how many numbers are the same. */
  public String text() {
    String release = facts.release().isEmpty() ? "" : "Linux " + facts.release() + ", ";
    long nodes = facts.zones().stream().mapToInt(HostFacts.HostZone::node).distinct().count();
    return "Host      %s%s RAM on %d %s (%s)\n\n"
            .formatted(
                release,
                TextReport.amount(kernel.spec().ramBytes()),
                nodes,
                nodes == 1 ? "node" : "nodes",
                root.equals("/") ? "this machine" : root)
        + table
        + "\n%d numbers compared, %d differ\n".formatted(compared, differences);
  }
}
