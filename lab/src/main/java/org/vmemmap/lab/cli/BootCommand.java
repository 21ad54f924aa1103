// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.report.Beside;
import org.vmemmap.lab.report.BootReport;
import org.vmemmap.lab.report.JsonReport;
import org.vmemmap.lab.report.Numbers;
import org.vmemmap.lab.report.ReportBuilder;
import org.vmemmap.lab.report.TextReport;
import org.vmemmap.types.Series;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code vmemmap boot}. */
@Command(
    name = "vmemmap boot",
    sortOptions = false,
    usageHelpWidth = 100,
    usageHelpAutoWidth = false,
    description = {
      "Boots a simulated machine on the ported kernel code and reports what happened to its"
          + " memmap.",
      "",
      "With nothing asked for, it is a PC with 8G on 2 nodes, 512 hugepages of 2M with HVO on"
          + " (hugetlb_free_vmemmap=on hugepages=512), and a device-DAX device of 2G. Hugepages are"
          + " left out when --cmdline names some or --do is given, the device when --dax is given"
          + " or --cmdline sets memory aside for one.",
      ""
    },
    footer = {
      "",
      "Files for --do:",
      "  /proc/sys/vm/nr_hugepages, nr_overcommit_hugepages, hugetlb_optimize_vmemmap",
      "  /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages (and hugepages-1048576kB)",
      "  /sys/devices/system/node/nodeN/hugepages/hugepages-2048kB/nr_hugepages",
      "  /sys/bus/dax/drivers/device_dax/bind, unbind, new_id, remove_id",
      "  /sys/bus/dax/devices/dax0.0/size, align, mapping, dax_region/create, dax_region/delete",
      "to read only: /proc/vmstat, zoneinfo, meminfo, iomem, cmdline; /dev/kmsg",
      "",
      "Exit code: 0 done, 1 the kernel failed or a rule is violated, 2 bad input."
    })
final class BootCommand implements Callable<Integer> {
  private final PrintWriter out;

  @Mixin MachineOptions machine = new MachineOptions();

  @Mixin JsonOption json = new JsonOption();

  @Option(
      names = "--host",
      arity = "0..1",
      paramLabel = "DIR",
      fallbackValue = "/",
      description = {
        "The machine is this Linux host, or the one whose files tools/collect-facts.sh has copied"
            + " to DIR. Prints the model's numbers beside the host's."
      })
  @Nullable String host;

  BootCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    String root = host;
    if (root != null) {
      json.refuseWith("--host", "the comparison with a host");
      return new HostCommand(machine, root, out).call();
    }
    if (machine.arch.equals("all")) {
      return all();
    }
    BootReport report = report();
    out.println(json.wanted ? JsonReport.of(report) : TextReport.of(report).stripTrailing());
    return report.verified().violations().isEmpty() ? Main.OK : Main.FAILED;
  }

  /** With --at or --vs those kernels, without them level 0 beside the last. */
  private BootReport report() {
    Series asked = machine.versus.series();
    Bench bench = new Bench(machine);
    Bench.Booted booted = bench.boot();
    BootReport report =
        new ReportBuilder(booted.kernel(), booted.before())
            .build(
                bench.asked(), bench.terminal(), booted.devices(), bench.verify(booted.kernel()));
    Series here = bench.spec().series();
    if (asked != null) {
      return report.withBeside(beside(bench, booted.kernel(), here, asked));
    }
    Series first = Series.at(0);
    return machine.kernel.at != null
        ? report
        : report.withBeside(beside(bench, booted.kernel(), first, here));
  }

  private static Beside beside(Bench bench, LabKernel booted, Series one, Series other) {
    Series here = bench.spec().series();
    Map<String, String> numbers = Numbers.of(booted);
    boolean hereIsOne = one.equals(here);
    Map<String, String> others = Numbers.of(() -> bench.with(hereIsOne ? other : one));
    return Beside.of(
        KernelOption.name(one),
        hereIsOne ? numbers : others,
        KernelOption.name(other),
        hereIsOne ? others : numbers);
  }

  private Integer all() {
    json.refuseWith("--arch all", "the comparison");
    AllArchitectures all = new AllArchitectures(machine);
    out.println(all.text());
    return all.violations() == 0 ? Main.OK : Main.FAILED;
  }
}
