// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kstrtox;

/**
 * Does steps on a booted machine, and remembers what processes hold.
 *
 * <pre>
 *   echo VALUE > PATH               writes to a file
 *   bind START SIZE ALIGN mem|dev   device DAX, on soft-reserved or persistent memory
 *   unbind START
 *   kmem START SIZE NODE yes|no     memory of a device as RAM; with its memmap in it, or not
 *   state START unplugged|online_movable   the file of that name of such memory
 *   unkmem START
 *   lmbs START SIZE NODE            the hypervisor gives logical memory blocks
 *   unlmbs START SIZE               and takes them
 *   dimm START SIZE NODE            ACPI plugs a DIMM
 *   eject START
 *   map SIZE                        a process maps a hugepage and touches it
 *   unmap SIZE                      the process that did so first ends
 *   process COUNT                   so many processes start, each with a page table of its own
 *   isolate PFN PAGES               free hugepages in the way of a contiguous allocation are replaced
 * </pre>
 */
final class Workbench {
  private static final Map<String, String> VERBS =
      Map.ofEntries(
          Map.entry("bind", "START SIZE ALIGN mem|dev"),
          Map.entry("unbind", "START"),
          Map.entry("kmem", "START SIZE NODE yes|no"),
          Map.entry("state", "START unplugged|online_movable"),
          Map.entry("unkmem", "START"),
          Map.entry("lmbs", "START SIZE NODE"),
          Map.entry("unlmbs", "START SIZE"),
          Map.entry("dimm", "START SIZE NODE"),
          Map.entry("eject", "START"),
          Map.entry("map", "SIZE"),
          Map.entry("unmap", "SIZE"),
          Map.entry("process", "COUNT"),
          Map.entry("isolate", "PFN PAGES"));

  /** Steps that take memory offline before it is removed. */
  private static final Set<String> OFFLINING = Set.of("eject", "unkmem", "unlmbs", "state");

  private static final int REGIONS = 8;

  private record Held(long size, long pfn) {}

  private final LabKernel kernel;
  private final Deque<Held> held = new ArrayDeque<>();

  Workbench(LabKernel kernel) {
    this.kernel = kernel;
  }

  /** The same kernel, in which processes hold the same pages. */
  Workbench(Workbench other) {
    this.kernel = other.kernel;
    this.held.addAll(other.held);
  }

  /** Refuses what is no step. */
  static void requireVerb(String verb, String arguments, String text) {
    String wanted = VERBS.get(verb);
    if (wanted == null) {
      throw new BadInput(
          "step \"" + text + "\": wanted 'echo VALUE > PATH' or one of "
              + String.join(", ", VERBS.keySet().stream().sorted().toList()));
    }
    List<String> words = words(arguments);
    if (words.size() != words(wanted).size()) {
      throw new BadInput("step \"" + text + "\": wanted " + verb + " " + wanted);
    }
    List<String> kinds = words(wanted);
    for (int i = 0; i < words.size(); i++) {
      boolean word = kinds.get(i).indexOf('|') > 0;
      boolean right = word ? List.of(kinds.get(i).split("\\|", -1)).contains(words.get(i))
          : isNumber(words.get(i));
      if (!right) {
        throw new BadInput("step \"" + text + "\": wanted " + verb + " " + wanted);
      }
    }
  }

  /** Refuses memory that comes from where {@code spec} has none. @throws BadInput for it */
  static void requireRoom(Step step, MachineSpec spec) {
    boolean device = step.what().equals("kmem");
    if (!device && !step.what().equals("dimm") && !step.what().equals("lmbs")) {
      return;
    }
    List<Ram> room = new ArrayList<>(device ? spec.softReserved() : spec.deviceMemory());
    room.addAll(device ? spec.pmem() : List.of());
    List<Long> numbers = numbers(step);
    long start = numbers.get(0);
    long end = start + numbers.get(1);
    if (room.stream().noneMatch(r -> r.start() <= start && start < end && end <= r.end())) {
      throw new BadInput(
          "step \"" + step.text() + "\": wanted a range of "
              + (device ? "softReserved or pmem" : "deviceMemory"));
    }
  }

  private static List<String> words(String text) {
    return text.isBlank() ? List.of() : List.of(text.strip().split(" +", -1));
  }

  private static boolean isNumber(String text) {
    Kstrtox.Digits parsed = Kstrtox.memparsePrefix(text);
    return parsed.length() > 0 && parsed.length() == text.length();
  }

  /** Does it. Returns 0 or a negative error code. */
  int run(Step step) {
    if (step.writes()) {
      return kernel.write(step.what(), step.value());
    }
    List<String> args = words(step.value());
    long first = Kstrtox.memparse(args.getFirst());
    return switch (step.what()) {
      case "bind" -> bind(first, number(args, 1), number(args, 2), args.get(3));
      case "unbind" -> unbind(first);
      case "kmem" ->
          kernel.dax().bindKmem(
              kernel.hotplug(), first, number(args, 1), (int) number(args, 2),
              args.get(3).equals("yes"));
      case "state" -> state(args.get(1));
      case "lmbs" ->
          kernel.hotplugDrivers().addLmbs(
              first, number(args, 1), kernel.spec().memoryBlockSize(), (int) number(args, 2));
      case "unlmbs" ->
          kernel.hotplugDrivers().removeLmbs(
              first, number(args, 1), kernel.spec().memoryBlockSize());
      case "unkmem" -> kernel.dax().unbindKmem(first);
      case "dimm" ->
          kernel.hotplugDrivers().plugDimm(first, number(args, 1), (int) number(args, 2));
      case "eject" -> kernel.hotplugDrivers().ejectDimm(first);
      case "map" -> map(first);
      case "unmap" -> unmap(first);
      case "process" -> start(first);
      default -> isolate(first, first + number(args, 1));
    };
  }

  /** The arguments of a step that are numbers, in their order. */
  static List<Long> numbers(Step step) {
    return words(step.value()).stream()
        .filter(Workbench::isNumber)
        .map(Kstrtox::memparse)
        .toList();
  }

  private static long number(List<String> args, int at) {
    return Kstrtox.memparse(args.get(at));
  }

  private int bind(long start, long size, long align, String map) {
    MachineSpec spec = kernel.spec();
    boolean pmem = in(spec.pmem(), start);
    DaxBus.Source source = pmem ? DaxBus.Source.PMEM : DaxBus.Source.HMEM;
    DaxBus.MapTo to = map.equals("dev") ? DaxBus.MapTo.DEV : DaxBus.MapTo.MEM;
    int rc = -Errno.ENODEV;
    for (int id = 0; id < REGIONS && rc == -Errno.ENODEV; id++) {
      rc = kernel.dax().bind("dax" + id + ".0", source, start, size, align, to);
    }
    return rc;
  }

  private static boolean in(List<Ram> ranges, long address) {
    return ranges.stream().anyMatch(r -> r.start() <= address && address < r.end());
  }

  /** Of the first device that is System RAM; scenarios have one. */
  private int state(String value) {
    for (int id = 0; id < REGIONS; id++) {
      String device = "dax" + id + ".0";
      if (kernel.dax().kmemState(device) != null) {
        return kernel.dax().writeKmemState(device, value);
      }
    }
    return -Errno.ENOENT;
  }

  /**
   * True when pages are moved out of the way of {@code step}: that is done page by page, and nobody
   * puts the first ones back when a later one stays.
   */
  boolean moves(Step step) {
    if (step.what().equals("map")) {
      Hstate h = kernel.hugetlb().hstates().sizeToHstate(numbers(step).getFirst());
      return h != null && h.isGigantic();
    }
    boolean offlines =
        step.writes() ? step.value().equals("offline") : OFFLINING.contains(step.what());
    return step.what().equals("isolate") || (offlines && hasHugepages());
  }

  private boolean hasHugepages() {
    return kernel.hugetlb().hstates().all().stream().anyMatch(h -> h.nrHugePages != 0);
  }

  private int unbind(long start) {
    DaxBus.Bound bound = boundAt(start);
    return bound == null ? -Errno.ENODEV : kernel.dax().unbind(bound.device());
  }

  private DaxBus.@Nullable Bound boundAt(long start) {
    int shift = kernel.mm().model().pageShift();
    for (DaxBus.Bound bound : kernel.dax().bound()) {
      DevPagemap.Range mapped = bound.pgmap().ranges[0];
      boolean inside = mapped.start() <= start && start <= mapped.end();
      if (inside || bound.dataPfn() == start >>> shift) {
        return bound;
      }
    }
    return null;
  }

  /**
   * True when what {@code step} names is bound. If not, and a device is bound all the same, it is
   * another one: a driver that is told a name is offered all devices.
   */
  boolean bound(Step step) {
    return step.what().equals("bind") && boundAt(numbers(step).getFirst()) != null;
  }

  /** Only where all pages are in use by the page allocator, as its caller sees to. */
  private int isolate(long start, long end) {
    long step = kernel.mm().mmzone().pagesPerSubsection();
    for (long pfn = start; pfn < end; pfn = (pfn / step + 1) * step) {
      if (!kernel.mm().mmzone().pfnOnline(pfn)) {
        return -Errno.EINVAL;
      }
    }
    return kernel.hugetlb().migrate().replaceFreeHugepageFolios(start, end);
  }

  /**
   * The last process does what follows, on its own top-level table. No error where processes need no
   * table for the kernel's part.
   */
  private int start(long count) {
    boolean own = kernel.spec().arch().equals(Profile.X86_64);
    for (long i = 0; own && i < count; i++) {
      long root = kernel.newProcessPageTable();
      if (root == 0) {
        return -Errno.ENOMEM;
      }
      kernel.mm().machine().cpu().loadRoot(kernel.mm().model().pa(root));
    }
    return 0;
  }

  private int map(long size) {
    long pfn = kernel.hugetlb().task().mapHugepage(size, -1);
    if (pfn < 0) {
      return (int) pfn;
    }
    held.add(new Held(size, pfn));
    return 0;
  }

  private int unmap(long size) {
    for (Held each : held) {
      if (each.size() == size) {
        held.remove(each);
        return kernel.hugetlb().task().unmapHugepage(size, each.pfn());
      }
    }
    return -Errno.EINVAL;
  }
}
