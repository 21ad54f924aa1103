// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
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
 * @param ram memory of the boot allocator, cut to full pages, ascending, with holes between
 * @param reservedHoles ranges taken out of RAM with {@code memmap=nn$ss}
 * @param softReserved ranges set aside for device DAX ({@code memmap=nn%ss-1+0xefffffff}, EFI)
 * @param pmem persistent memory (on x86-64 that of the e820 table, {@code memmap=nn!ss})
 * @param deviceMemory memory that nothing in the machine's description mentions; drivers bring it
 * @param cmdline kernel parameters, one word each
 * @param memoryBlockSize bytes of a memory block in sysfs
 * @param hotpluggable ranges that the firmware's table of nodes says can be pulled
 */
public record MachineSpec(
    Profile profile,
    MmConfig config,
    List<Ram> ram,
    List<Ram> reservedHoles,
    List<Ram> softReserved,
    List<Ram> pmem,
    List<Ram> deviceMemory,
    List<String> cmdline,
    long memoryBlockSize,
    List<Ram> hotpluggable) {
  /** VMEMMAP_START of a 4-level kernel without address randomisation. */
  public static final long VMEMMAP_BASE_L4 = 0xffffea0000000000L;

  /** VMEMMAP_START of a 5-level kernel without address randomisation. */
  public static final long VMEMMAP_BASE_L5 = 0xffd4000000000000L;

  /** Memory block size of every x86-64 machine below 64 GiB, in bytes. */
  public static final long MEMORY_BLOCK_SIZE = 128L << 20;

  /** Copies the lists and checks them. @throws BadInput for ranges that cannot be */
  public MachineSpec {
    ram = List.copyOf(ram);
    reservedHoles = List.copyOf(reservedHoles);
    softReserved = List.copyOf(softReserved);
    pmem = List.copyOf(pmem);
    deviceMemory = List.copyOf(deviceMemory);
    cmdline = List.copyOf(cmdline);
    hotpluggable = List.copyOf(hotpluggable);
    requireApart(ram, softReserved, pmem);
  }

  /** A machine of which nothing can be pulled. */
  public MachineSpec(
      Profile profile,
      MmConfig config,
      List<Ram> ram,
      List<Ram> reservedHoles,
      List<Ram> softReserved,
      List<Ram> pmem,
      List<Ram> deviceMemory,
      List<String> cmdline,
      long memoryBlockSize) {
    this(
        profile,
        config,
        ram,
        reservedHoles,
        softReserved,
        pmem,
        deviceMemory,
        cmdline,
        memoryBlockSize,
        List.of());
  }

  /** A PC without memory that only drivers know. */
  public MachineSpec(
      String arch,
      int levels,
      long vmemmapBase,
      MmConfig config,
      List<Ram> ram,
      List<Ram> reservedHoles,
      List<Ram> softReserved,
      List<Ram> pmem,
      List<String> cmdline,
      long memoryBlockSize) {
    this(
        new Profile(arch, "", 4096, levels, 0, 0, vmemmapBase, 0),
        config,
        ram,
        reservedHoles,
        softReserved,
        pmem,
        List.of(),
        cmdline,
        memoryBlockSize);
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

  private static void requireApart(List<Ram> ram, List<Ram> soft, List<Ram> pmem) {
    if (ram.isEmpty()) {
      throw new BadInput("the machine has no memory: wanted at least one range of System RAM");
    }
    List<Ram> all = new ArrayList<>(ram);
    all.addAll(soft);
    all.addAll(pmem);
    all.sort(Comparator.comparingLong(Ram::start));
    for (int i = 1; i < all.size(); i++) {
      Ram low = all.get(i - 1);
      Ram high = all.get(i);
      if (low.overlaps(high)) {
        throw new BadInput(
            "memory ranges 0x%x-0x%x and 0x%x-0x%x overlap"
                .formatted(low.start(), low.end() - 1, high.start(), high.end() - 1));
      }
    }
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
    return new MachineSpec(
        profile,
        other,
        ram,
        reservedHoles,
        softReserved,
        pmem,
        deviceMemory,
        cmdline,
        memoryBlockSize,
        hotpluggable);
  }

  /** The same machine of which the ranges can be pulled. */
  public MachineSpec withHotpluggable(List<Ram> ranges) {
    return new MachineSpec(
        profile,
        config,
        ram,
        reservedHoles,
        softReserved,
        pmem,
        deviceMemory,
        cmdline,
        memoryBlockSize,
        ranges);
  }

  /** The same machine with another command line. */
  public MachineSpec withCmdline(List<String> words) {
    return new MachineSpec(
        profile,
        config,
        ram,
        reservedHoles,
        softReserved,
        pmem,
        deviceMemory,
        words,
        memoryBlockSize,
        hotpluggable);
  }

  /** The same machine with more memory that only drivers know, such as modules to be plugged. */
  public MachineSpec withDeviceMemory(List<Ram> more) {
    List<Ram> all = new ArrayList<>(deviceMemory);
    all.addAll(more);
    return new MachineSpec(
        profile, config, ram, reservedHoles, softReserved, pmem, all, cmdline, memoryBlockSize);
  }

  /** First physical address behind all memory, that of devices included. */
  public long endOfMemory() {
    long end = 0;
    for (List<Ram> list : List.of(ram, softReserved, pmem, deviceMemory)) {
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
    for (List<Ram> list : List.of(softReserved, pmem, deviceMemory, ram)) {
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
    for (Ram range : ram) {
      sum += range.size();
    }
    return sum;
  }
}
