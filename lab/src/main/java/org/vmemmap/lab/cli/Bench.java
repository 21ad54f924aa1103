// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.dax.DaxRegion;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.Cmdline;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.lab.cases.CaseFiles;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.report.DeviceFacts;
import org.vmemmap.lab.report.HugePool;
import org.vmemmap.lab.report.MemmapSnapshot;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Series;

/** A machine made of the options: booted, its devices bound, the actions done. */
final class Bench {
  private static final int MOST_NODES = 1024;

  private final MachineOptions options;
  private final List<DaxOption> dax = new ArrayList<>();
  private final List<String> asked = new ArrayList<>();
  private final List<String> terminal = new ArrayList<>();
  private final List<Action> actions = new ArrayList<>();
  private final List<Invariants.Report> steps = new ArrayList<>();
  private final MachineSpec spec;

  /** Reads all options. @throws BadInput for the first that cannot be used */
  Bench(MachineOptions options) {
    this.options = options;
    options.actions.forEach(text -> actions.add(Action.parse(text)));
    options.dax.forEach(text -> dax.add(DaxOption.parse(text)));
    Profile board = Profiles.of(options);
    String file = options.machine;
    if (file != null) {
      this.spec = options.atLevel(fromFile(file));
    } else {
      this.spec = options.atLevel(board == null ? virtualPc() : virtualBoard(board));
    }
  }

  /** The machine, not booted. */
  MachineSpec spec() {
    return spec;
  }

  /** What was added without being asked for. */
  List<String> asked() {
    return List.copyOf(asked);
  }

  /** What the actions showed. */
  List<String> terminal() {
    return List.copyOf(terminal);
  }

  private int levels() {
    String levels = options.levels;
    return levels == null ? 4 : Numbers.parse("--levels", levels, 4, 5);
  }

  private List<String> words() {
    String cmdline = options.cmdline;
    return cmdline == null ? List.of() : Cmdline.words(cmdline);
  }

  private MachineSpec virtualPc() {
    long mem = options.mem == null ? Defaults.MEM : Sizes.size("--mem", options.mem);
    int nodes =
        options.nodes == null
            ? Defaults.NODES
            : Numbers.parse("--nodes", options.nodes, 1, MOST_NODES);
    List<String> words = new ArrayList<>(words());
    if (dax.isEmpty()) {
      for (DaxOption device : Defaults.dax(words)) {
        dax.add(device);
        asked.add("--dax " + device.text());
      }
    }
    List<String> added = Defaults.cmdline(mem, words, options.actions);
    if (!added.isEmpty()) {
      words.addAll(added);
      asked.add("--cmdline \"" + String.join(" ", added) + "\"");
    }
    return MachineSpecs.ofSize(mem, nodes, dax, levels(), words);
  }

  private MachineSpec virtualBoard(Profile profile) {
    long mem = options.mem == null ? Defaults.MEM : Sizes.size("--mem", options.mem);
    int nodes =
        options.nodes == null
            ? Defaults.NODES
            : Numbers.parse("--nodes", options.nodes, 1, MOST_NODES);
    List<String> words = new ArrayList<>(words());
    MachineSpec bare = Boards.ofSize(profile, mem, nodes, List.of(), words);
    long hugepage = Boards.hugepageSize(bare);
    if (dax.isEmpty()) {
      DaxOption device = Defaults.dax(profile, hugepage);
      dax.add(device);
      asked.add("--dax " + device.text());
    }
    List<String> added = Defaults.hugepages(mem, hugepage, words, options.actions);
    if (!added.isEmpty()) {
      words.addAll(added);
      asked.add("--cmdline \"" + String.join(" ", added) + "\"");
    }
    return Boards.ofSize(profile, mem, nodes, dax, words);
  }

  private MachineSpec fromFile(String file) {
    if (options.mem != null || options.nodes != null) {
      throw new BadInput(
          "--machine " + file + ": it says memory and nodes, leave out --mem and --nodes");
    }
    if (file.endsWith(".json")) {
      return fromCase(Path.of(file));
    }
    return MachineSpecs.ofText(file, lines(file), dax, levels(), words());
  }

  private MachineSpec fromCase(Path file) {
    if (!dax.isEmpty() || options.levels != null) {
      throw new BadInput(
          "--machine " + file + ": a case says devices and levels, leave out --dax and --levels");
    }
    MachineSpec machine = CaseFiles.machine(file);
    List<String> cmdline = new ArrayList<>(machine.cmdline());
    cmdline.addAll(words());
    return machine.withCmdline(cmdline);
  }

  private static List<String> lines(String file) {
    try {
      return Files.readAllLines(Path.of(file), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new BadInput("--machine " + file + ": cannot be read, wanted a text or a case file");
    }
  }

  /** Boots, binds the devices of {@code --dax}, does the actions. */
  Booted boot() {
    Before before = new Before();
    LabKernel kernel = LabKernel.boot(spec, Placement.NONE, before);
    bindDevices(kernel, terminal);
    for (Action action : actions) {
      steps.add(Invariants.check(kernel));
      terminal.add(action.run(kernel));
    }
    return new Booted(kernel, before.memmap(kernel));
  }

  /** The same machine with another kernel, booted and used in the same way; keeps no notes. */
  LabKernel with(Series series) {
    LabKernel kernel = LabKernel.boot(spec.withSeries(series), Placement.NONE);
    bindDevices(kernel, new ArrayList<>());
    actions.forEach(action -> action.run(kernel));
    return kernel;
  }

  /** What was checked before each action, and now. */
  Invariants.Report verify(LabKernel kernel) {
    steps.add(Invariants.check(kernel));
    Map<String, Long> checks = new LinkedHashMap<>();
    List<Invariants.Violation> violations = new ArrayList<>();
    for (Invariants.Report step : steps) {
      step.checks().forEach((rule, count) -> checks.merge(rule, count, Long::sum));
      violations.addAll(step.violations());
    }
    return new Invariants.Report(checks, violations);
  }

  /**
   * The result.
   *
   * @param kernel the machine
   * @param before its memmap before hugepages and devices
   */
  record Booted(LabKernel kernel, MemmapSnapshot before) {
    /** The devices that have struct pages. */
    List<DeviceFacts> devices() {
      List<DeviceFacts> devices = new ArrayList<>();
      for (DaxBus.Bound bound : kernel.dax().bound()) {
        long start = bound.pgmap().ranges[0].start();
        long bytes = bound.pgmap().ranges[0].len();
        var device = kernel.dax().bus().find(bound.device());
        long align =
            device == null
                ? kernel.mm().model().pageSize() << bound.pgmap().vmemmapShift
                : device.align();
        devices.add(
            new DeviceFacts(
                bound.device(),
                kernel.mm().model().physPfn(start),
                kernel.mm().model().physPfn(bytes),
                align,
                bound.pgmap().altmapValid ? bound.pgmap().altmap.alloc : 0));
      }
      return devices;
    }
  }

  /** Takes the memmap on the way up. */
  private static final class Before implements LabKernel.Listener {
    private @Nullable MemmapSnapshot snapshot;

    @Override
    public void beforeHugetlbInit(LabKernel kernel) {
      snapshot = new MemmapSnapshot(kernel.mm(), "");
    }

    /**
     * The memmap before HVO. Gigantic pages of boot were never without it, so with them it is that
     * of the same machine with HVO off, which only has to come up to where the memmap exists.
     */
    MemmapSnapshot memmap(LabKernel kernel) {
      MemmapSnapshot taken = snapshot;
      if (taken != null && !startsOptimized(kernel, taken)) {
        return taken;
      }
      List<String> words = new ArrayList<>(kernel.spec().cmdline());
      words.removeIf(word -> word.startsWith("hugetlb_free_vmemmap"));
      LabKernel without = LabKernel.bootEarly(kernel.spec().withCmdline(words));
      return new MemmapSnapshot(without.mm(), "before: the same machine with HVO off");
    }

    private static boolean startsOptimized(LabKernel kernel, MemmapSnapshot snapshot) {
      long pageSize = kernel.mm().model().pageSize();
      for (HugePool pool : HugePool.all(kernel)) {
        for (HugePool.Hugepage page : pool.pages()) {
          long second = kernel.mm().model().pfnToPage(page.pfn()).va() + pageSize;
          if (page.optimized() && !snapshot.at(second).writable()) {
            return true;
          }
        }
      }
      return false;
    }
  }

  private void bindDevices(LabKernel kernel, List<String> refusals) {
    List<Ram> soft = new ArrayList<>(kernel.spec().softReserved());
    List<Ram> pmem = new ArrayList<>(kernel.spec().pmem());
    int extraSoft = soft.size() - (int) dax.stream().filter(device -> !device.pmem()).count();
    int extraPmem = pmem.size() - (int) dax.stream().filter(DaxOption::pmem).count();
    for (DaxOption device : dax) {
      Ram range = device.pmem() ? pmem.get(extraPmem++) : soft.get(extraSoft++);
      int rc = bind(kernel, device, range);
      if (rc != 0) {
        refusals.add("dax " + device.text() + ": " + Action.message(rc));
      }
    }
  }

  private static int bind(LabKernel kernel, DaxOption device, Ram range) {
    DaxBus.MapTo map = device.mapDev() ? DaxBus.MapTo.DEV : DaxBus.MapTo.MEM;
    if (device.pmem()) {
      return bindPmem(kernel, device, range, map);
    }
    for (DaxRegion region : kernel.dax().bus().regions()) {
      if (region.start() <= range.start() && range.start() < region.start() + region.size()) {
        return kernel
            .dax()
            .bind(
                "dax" + region.id() + ".0",
                DaxBus.Source.HMEM,
                range.start(),
                device.size(),
                device.align(),
                map);
      }
    }
    return -Errno.ENODEV;
  }

  /** The region numbers of persistent memory are not listed anywhere before the first bind. */
  private static int bindPmem(LabKernel kernel, DaxOption device, Ram range, DaxBus.MapTo map) {
    int regions = kernel.spec().softReserved().size() + kernel.spec().pmem().size();
    int rc = -Errno.ENODEV;
    for (int id = 0; id < regions && rc == -Errno.ENODEV; id++) {
      String name = "dax" + id + ".0";
      if (kernel.dax().bus().find(name) == null) {
        rc =
            kernel
                .dax()
                .bind(name, DaxBus.Source.PMEM, range.start(), device.size(), device.align(), map);
      }
    }
    return rc;
  }
}
