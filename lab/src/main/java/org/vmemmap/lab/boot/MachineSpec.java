// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.List;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Series;

/**
 * A machine and how its kernel was built and called: all that {@link LabKernel} needs to boot.
 *
 * <p>The memory ranges are what is left after {@code mem=} and {@code memmap=} have been applied,
 * as the kernel's "Early memory node ranges" print them. So those two parameters may stand in
 * {@code cmdline} (they are shown in the log) but are not applied again.
 *
 * @param profile the processor, and the addresses that its kernel uses
 * @param config the kernel's build configuration
 * @param memory what memory it has
 * @param cmdline kernel parameters, one word each
 * @param memoryBlockSize bytes of a memory block in sysfs
 */
public record MachineSpec(
    Profile profile,
    MmConfig config,
    MemoryRanges memory,
    List<String> cmdline,
    long memoryBlockSize) {
  /** VMEMMAP_START of a 4-level kernel without address randomisation. */
  public static final long VMEMMAP_BASE_L4 = 0xffffea0000000000L;

  /** VMEMMAP_START of a 5-level kernel without address randomisation. */
  public static final long VMEMMAP_BASE_L5 = 0xffd4000000000000L;

  /** Memory block size of every x86-64 machine below 64 GiB, in bytes. */
  public static final long MEMORY_BLOCK_SIZE = 128L << 20;

  /** Copies the list and checks the memory. @throws BadInput for none, or ranges that overlap */
  public MachineSpec {
    memory.requireApart();
    cmdline = List.copyOf(cmdline);
  }

  /** The architecture's name. */
  public String arch() {
    return profile.arch();
  }

  /** Page-table levels in use. */
  public int levels() {
    return profile.levels();
  }

  /** Virtual address of the struct page of pfn 0. */
  public long vmemmapBase() {
    return profile.vmemmapBase();
  }

  /** Memory of the boot allocator. */
  public List<Ram> ram() {
    return memory.of(Kind.RAM);
  }

  /** Memory set aside for device DAX. */
  public List<Ram> softReserved() {
    return memory.of(Kind.SOFT_RESERVED);
  }

  /** Persistent memory. */
  public List<Ram> pmem() {
    return memory.of(Kind.PMEM);
  }

  /** Memory that only drivers know. */
  public List<Ram> deviceMemory() {
    return memory.of(Kind.DEVICE);
  }

  /** Which patches of the series its kernel has. */
  public Series series() {
    return config.series();
  }

  /** The same machine with a kernel that has other patches of the series. */
  public MachineSpec withSeries(Series series) {
    return withConfig(config.withSeries(series));
  }

  /** The same machine with a kernel that was built otherwise. */
  public MachineSpec withConfig(MmConfig other) {
    return new MachineSpec(profile, other, memory, cmdline, memoryBlockSize);
  }

  /** The same machine with {@code ranges} as its memory of a kind. */
  public MachineSpec withMemory(Kind kind, List<Ram> ranges) {
    return new MachineSpec(profile, config, memory.with(kind, ranges), cmdline, memoryBlockSize);
  }

  /** The same machine with memory blocks of {@code bytes}. */
  public MachineSpec withMemoryBlockSize(long bytes) {
    return new MachineSpec(profile, config, memory, cmdline, bytes);
  }

  /** The same machine with another command line. */
  public MachineSpec withCmdline(List<String> words) {
    return new MachineSpec(profile, config, memory, words, memoryBlockSize);
  }

  /** First physical address behind all memory, that of devices included. */
  public long endOfMemory() {
    long end = 0;
    for (List<Ram> list : List.of(ram(), softReserved(), pmem(), deviceMemory())) {
      for (Ram range : list) {
        end = Math.max(end, range.end());
      }
    }
    return end;
  }

  /**
   * {@code phys_to_target_node()}: the node that device memory would be on; -1 for an address that
   * is no memory.
   */
  @Kernel(
      file = "mm/numa_memblks.c",
      symbol = "phys_to_target_node",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Every range names its node, so there is one table for all memory.")
  public int physToTargetNode(long address) {
    for (List<Ram> list : List.of(softReserved(), pmem(), deviceMemory(), ram())) {
      for (Ram range : list) {
        if (range.start() <= address && address < range.end()) {
          return range.node();
        }
      }
    }
    return -1;
  }

  /** Bytes of RAM. */
  public long ramBytes() {
    long sum = 0;
    for (Ram range : ram()) {
      sum += range.size();
    }
    return sum;
  }
}
