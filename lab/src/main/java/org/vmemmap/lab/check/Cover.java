// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.TreeSet;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.boot.Sizes;

/** What random runs had to do with so far, by aspect: how much of the space the draw covers. */
public final class Cover {
  /** Names of the kinds of machine. */
  public static final String WORLD = "kinds of machine";

  /** Architectures. */
  public static final String ARCH = "architectures";

  /** Names of kernels: patches of the series, or a release. */
  public static final String KERNEL = "kernels";

  /** Base pages, as in {@code 16K}. */
  public static final String PAGE = "page sizes";

  /** Bytes of a struct page. */
  public static final String STRUCT_PAGE = "struct page sizes";

  /** Sections, as in {@code 128M}. */
  public static final String SECTION = "section sizes";

  /** Numbers of nodes with memory. */
  public static final String NODES = "numbers of nodes";

  /** What is done: verbs, and names of the files that are written. */
  public static final String STEP = "kinds of steps";

  private static final List<String> ASPECTS =
      List.of(ARCH, WORLD, KERNEL, PAGE, STRUCT_PAGE, SECTION, NODES, STEP);

  private final Set<String> machines = new TreeSet<>();
  private final Map<String, Set<String>> seen = new TreeMap<>();

  /** Adds a machine, whose steps come one by one. */
  void machine(Scenario scenario) {
    MachineSpec spec = scenario.spec();
    machines.add(ScenarioFile.text(scenario));
    add(WORLD, scenario.world().name());
    add(ARCH, spec.arch());
    add(KERNEL, spec.series().name());
    add(PAGE, Sizes.text(spec.profile().pageSize()));
    add(STRUCT_PAGE, Integer.toString(spec.config().sizeofStructPage()));
    add(SECTION, Sizes.text(1L << spec.config().sectionSizeBits()));
    add(NODES, Long.toString(nodes(spec)));
  }

  private static long nodes(MachineSpec spec) {
    return spec.ram().stream().map(Ram::node).distinct().count();
  }

  /** Adds a step that was done. */
  void step(Step step) {
    String file = step.what().substring(step.what().lastIndexOf('/') + 1);
    boolean node = step.what().contains("/node/");
    boolean block = step.what().contains("/memory/memory");
    add(STEP, node ? file + " of a node" : block ? file + " of a block" : file);
  }

  private void add(String aspect, String value) {
    values(aspect).add(value);
  }

  /** Adds what another part of the same runs had to do with. */
  public void add(Cover other) {
    machines.addAll(other.machines);
    ASPECTS.forEach(aspect -> values(aspect).addAll(other.values(aspect)));
  }

  /** All values of an aspect, one of the constants. */
  public Set<String> of(String aspect) {
    return Set.copyOf(values(aspect));
  }

  private Set<String> values(String aspect) {
    return seen.computeIfAbsent(aspect, any -> new TreeSet<>());
  }

  /** Machines that are not the same to the last byte. */
  public int machines() {
    return machines.size();
  }

  /** As in {@code 200 machines: 3 architectures, 12 kinds of machine, ...}. */
  public String text() {
    StringJoiner text = new StringJoiner(", ", machines() + " machines: ", "");
    ASPECTS.forEach(aspect -> text.add(values(aspect).size() + " " + aspect));
    return text.toString();
  }
}
