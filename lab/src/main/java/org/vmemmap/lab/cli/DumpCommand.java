// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.report.LineDiff;
import org.vmemmap.lab.report.PageDump;
import org.vmemmap.lab.report.PageTypes;
import org.vmemmap.lab.report.Ptdump;
import org.vmemmap.lab.report.ReportBuilder;
import org.vmemmap.lab.report.TextReport;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.Series;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code vmemmap dump}. */
@Command(
    name = "vmemmap dump",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Boots a machine as boot does and shows a part of it:",
      "  pagetable    the page tables of the memmap, equal neighbours as one line",
      "  page PFN     the struct page of a page, as crash and drgn print it",
      "  sections     all sections",
      "  zones        /proc/zoneinfo",
      "  vmstat       /proc/vmstat",
      "  kpageflags   pages counted by their /proc/kpageflags",
      "With --vs it is shown with both kernels, as diff does.",
      ""
    },
    footer = {"", "Exit code: 0 done, 1 the kernel failed, 2 bad input."})
final class DumpCommand implements Callable<Integer> {
  private static final String WANTED =
      "wanted pagetable, page PFN, sections, zones, vmstat or kpageflags";

  private final PrintWriter out;

  @Mixin MachineOptions machine = new MachineOptions();

  @Parameters(index = "0", arity = "0..1", paramLabel = "WHAT", description = "One of the above.")
  @Nullable String what;

  @Parameters(index = "1", arity = "0..1", paramLabel = "PFN", description = "A page frame number.")
  @Nullable String pfn;

  DumpCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    String part = what;
    if (part == null) {
      throw new BadInput("dump: nothing to show, " + WANTED);
    }
    long number = part.equals("page") ? pfnOf(pfn) : noPfn(part, pfn);
    Series other = machine.versus.series();
    Bench bench = new Bench(machine);
    String text = show(part, number, bench.boot());
    if (other == null) {
      out.print(text);
      return Main.OK;
    }
    String one = KernelOption.name(bench.spec().series());
    machine.kernel.at = other.name();
    String otherText = show(part, number, new Bench(machine).boot());
    out.print(LineDiff.of(one, text, KernelOption.name(other), otherText));
    return Main.OK;
  }

  private static long pfnOf(@Nullable String text) {
    Kstrtox.Digits parsed = Kstrtox.digits(text == null ? "" : text, 0);
    boolean whole = text != null && parsed.length() == text.length() && !parsed.overflow();
    if (!whole || parsed.length() == 0 || parsed.value() < 0) {
      throw new BadInput(
          "dump page "
              + (text == null ? "" : text)
              + ": wanted a page frame number, as in 0x100000");
    }
    return parsed.value();
  }

  private static long noPfn(String part, @Nullable String pfn) {
    boolean known = "pagetable sections zones vmstat kpageflags".contains(part);
    if (!known || pfn != null) {
      throw new BadInput("dump " + part + (pfn == null ? "" : " " + pfn) + ": " + WANTED);
    }
    return 0;
  }

  private static String show(String part, long pfn, Bench.Booted booted) {
    LabKernel kernel = booted.kernel();
    return switch (part) {
      case "pagetable" -> Ptdump.of(kernel.mm());
      case "page" -> page(kernel, pfn);
      case "sections" -> TextReport.sections(
              new ReportBuilder(kernel, booted.before()).sections(),
              kernel.spec().config().sectionSizeBits());
      case "zones" -> kernel.read("/proc/zoneinfo") + "\n";
      case "vmstat" -> kernel.read("/proc/vmstat") + "\n";
      default -> PageTypes.of(kernel.mm());
    };
  }

  private static String page(LabKernel kernel, long pfn) {
    String text = PageDump.of(kernel.mm(), pfn);
    if (text == null) {
      throw new BadInput(
          "dump page 0x%x: no struct page there, wanted a pfn in a section that dump sections lists"
              .formatted(pfn));
    }
    return text;
  }
}
