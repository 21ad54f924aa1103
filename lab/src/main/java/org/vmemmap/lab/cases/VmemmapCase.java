// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Series;

/**
 * A case file: one boot of a real kernel, what was done to it, and what it showed after each step.
 *
 * @param file the file, for messages
 * @param name folder and file name without ending
 * @param family group of behaviour
 * @param about one sentence
 * @param wordMask0 the bits of word 0 of a struct page that are compared
 * @param machine what was booted
 * @param steps what was done, in order
 */
public record VmemmapCase(
    String file,
    String name,
    String family,
    String about,
    long wordMask0,
    CaseMachine machine,
    List<Step> steps) {

  /** Copies the list. */
  public VmemmapCase {
    steps = List.copyOf(steps);
  }

  /** The same case for a kernel with another part of the series. */
  VmemmapCase withSeries(Series series) {
    CaseMachine m = machine;
    CaseMachine other =
        new CaseMachine(
            m.profile,
            m.memoryBlockSize,
            m.config.withSeries(series),
            m.memory,
            m.zones,
            m.cmdline,
            m.unknown);
    return new VmemmapCase(file, name, family, about, wordMask0, other, steps);
  }

  /** The devices of memremap operations: name and first byte. */
  Map<String, Long> devices() {
    Map<String, Long> devices = new LinkedHashMap<>();
    for (Step step : steps) {
      for (Operation operation : step.operations()) {
        if (operation.args() instanceof Memremap remap) {
          devices.put(remap.device(), remap.remap().start());
        }
      }
    }
    return devices;
  }

  /**
   * The machine. Ranges are bytes, ends excluded.
   *
   * @param profile the processor, and what its kernel was built for
   * @param memoryBlockSize bytes of a memory block; 0 when the file does not say
   * @param config the kernel's build configuration
   * @param memory all of it; that of devices is what drivers map and no other list has
   * @param zones the zones with a span in the first state that was captured
   * @param cmdline kernel parameters that matter
   * @param unknown keys that the format does not know
   */
  public record CaseMachine(
      Profile profile,
      long memoryBlockSize,
      MmConfig config,
      MemoryRanges memory,
      List<CaseZone> zones,
      List<String> cmdline,
      Map<String, JsonNode> unknown) {}

  /** A zone of the machine, pfns: its first, and the length of its span. */
  public record CaseZone(
      int node, String name, long startPfn, long spannedPages, long presentPages) {}

  /**
   * One step.
   *
   * @param label its name
   * @param operations what was done
   * @param placement where the hugepages were after it; null when nothing depends on that
   * @param expect what the kernel showed then
   * @param unknown keys that the format does not know
   */
  public record Step(
      String label,
      List<Operation> operations,
      @Nullable PlacedStep placement,
      JsonNode.Obj expect,
      Map<String, JsonNode> unknown) {}

  /**
   * Where the hugepages of the pool were.
   *
   * @param exact false when the positions were chosen to agree with all counts
   * @param restoredBeforeFailure how many pages had got their memmap back when memory ran out; -1
   *     when the file does not say
   * @param pages the pages
   */
  public record PlacedStep(boolean exact, long restoredBeforeFailure, List<PlacedPages> pages) {}

  /**
   * Hugepages of one order, node and zone; the pfns are those of the heads.
   *
   * @param order their order
   * @param node their node; {@link #ANY_NODE} when the file does not say
   * @param zone their zone; null when the file does not say
   * @param pfns their first pfns
   */
  public record PlacedPages(int order, int node, @Nullable String zone, List<Long> pfns) {
    /** The node is not known. */
    public static final int ANY_NODE = -1;

    /** Copies the list. */
    public PlacedPages {
      pfns = List.copyOf(pfns);
    }
  }

  /**
   * Something that was done.
   *
   * @param op its name
   * @param args what it was done with
   * @param results what the kernel answered, by key
   * @param unknown keys that the format does not know
   */
  public record Operation(
      String op, Args args, Map<String, JsonNode> results, Map<String, JsonNode> unknown) {}

  /** The inputs of an operation. */
  public sealed interface Args {}

  /** A number of hugepages on the command line; {@code node} is null for all nodes. */
  public record BootHugepages(long size, @Nullable Integer node, long count) {}

  /** The kernel is booted. {@code hugetlbCma} and {@code kernelcore} are bytes, 0 for none. */
  public record Boot(
      boolean optimizeVmemmap, List<BootHugepages> hugepages, long hugetlbCma, long kernelcore)
      implements Args {}

  /** A pool is set by writing {@code count} to {@code via}. */
  public record SetPool(
      long size, @Nullable Integer node, long count, String via, boolean exhausted)
      implements Args {}

  /** Pages of {@code size} bytes become pages of {@code to} bytes, by writing to {@code via}. */
  public record Demote(long size, long to, long count, String via) implements Args {}

  /** vm.hugetlb_optimize_vmemmap is set by writing to {@code via}. */
  public record SetOptimize(long value, String via) implements Args {}

  /**
   * A process maps ({@code map}) or unmaps the hugepage at {@code pfn}; {@code size} is 0 where the
   * file does not say.
   */
  public record MapHugepage(boolean map, long size, long count, long pfn) implements Args {}

  /** A part of a device is mapped and written. */
  public record MapDevice(String device, long pfn) implements Args {}

  /** What is handed to memremap_pages(); {@code altmap} is null for none. */
  public record Remap(long start, long size, int vmemmapShift, @Nullable Altmap altmap) {}

  /** An altmap as an input; counts are pages. */
  public record Altmap(long basePfn, long reservePages, long freePages) {}

  /** The device-DAX driver is bound. {@code start}, {@code size}: the data area in bytes. */
  public record DaxBind(
      String device, String source, String map, long start, long size, long align, Remap memremap)
      implements Args {}

  /** The device-DAX driver is unbound. */
  public record DaxUnbind(String device, long start, long size) implements Args {}

  /** memremap_pages() is called. */
  public record Memremap(String device, Remap remap, int node, boolean exhausted) implements Args {}

  /** memunmap_pages() is called. */
  public record Memunmap(String device) implements Args {}

  /** An operation of the format that this version cannot do. */
  public record NotYet() implements Args {}

  /** Memory is plugged by {@code source}; {@code online} is no, movable or kernel. Bytes. */
  public record AddMemory(
      String source,
      long start,
      long size,
      int node,
      boolean memmapOnMemory,
      String online,
      long chunk,
      boolean exhausted)
      implements Args {}

  /** Memory blocks are put online ({@code to} movable or kernel) or offline, one by one. */
  public record Blocks(boolean online, long first, long count, String to) implements Args {}

  /** Memory is unplugged. Bytes. */
  public record RemoveMemory(String source, long start, long size, long chunk) implements Args {}
}
