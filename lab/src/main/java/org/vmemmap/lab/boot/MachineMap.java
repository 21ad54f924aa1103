// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.types.MmConfig;

/**
 * A machine before its kernel starts: the firmware's memory map and the nodes. {@link #toSpec}
 * applies the command line's {@code mem=}, {@code memmap=} and {@code numa=} and cuts RAM to pages,
 * as the kernel does on the way to its boot allocator.
 */
public final class MachineMap {
  private static final long PAGE_SIZE = 4096;
  private static final long BLOCK_LARGE_FROM = 64L << 30;
  private static final long BLOCK_MAX = 2L << 30;

  private final E820Table table = new E820Table();
  private final List<Ram> nodes = new ArrayList<>();
  private final List<Ram> hotpluggable = new ArrayList<>();
  private long lastEnd;

  /** Adds the range {@code [start, end)} of an E820 type. */
  public void range(long start, long end, long type) {
    if (end <= start) {
      throw new BadInput(
          "memory range 0x%x-0x%x: wanted an end behind the start".formatted(start, end - 1));
    }
    table.e820RangeAdd(start, end - start, type);
    lastEnd = Math.max(lastEnd, end);
  }

  /** Says that {@code [start, end)} belongs to {@code node}. */
  public void node(int node, long start, long end) {
    Ram range = new Ram(start, end, node);
    for (Ram other : nodes) {
      if (range.overlaps(other)) {
        throw new BadInput(
            "node %d: 0x%x-0x%x overlaps node %d: 0x%x-0x%x"
                .formatted(node, start, end - 1, other.node(), other.start(), other.end() - 1));
      }
    }
    nodes.add(range);
    nodes.sort(Comparator.comparingLong(Ram::start));
  }

  /** Says that {@code [start, end)}, which is on {@code node}, can be pulled. */
  public void hotpluggable(int node, long start, long end) {
    hotpluggable.add(new Ram(start, end, node));
  }

  /** First byte behind all ranges so far. */
  public long lastEnd() {
    return lastEnd;
  }

  /**
   * The machine as its kernel sees it.
   *
   * @param levels page-table levels, 4 or 5
   * @param cmdline all kernel parameters
   * @throws BadInput for a parameter that the kernel would refuse, or memory on no node
   */
  public MachineSpec toSpec(int levels, List<String> cmdline) {
    boolean numaOff = applyParams(cmdline);
    table.trimBiosRange();
    List<Ram> ram = new ArrayList<>();
    List<Ram> holes = new ArrayList<>();
    List<Ram> soft = new ArrayList<>();
    List<Ram> pmem = new ArrayList<>();
    for (E820Table.Entry entry : table.entries()) {
      List<Ram> to = listOf(entry.type(), ram, holes, soft, pmem);
      addPages(entry, numaOff, to, entry.type() == E820Table.E820_TYPE_RAM);
    }
    int physmemBits = levels == 5 ? 52 : 46;
    MmConfig config = MmConfig.debianX86().withMaxPhysmemBits(physmemBits);
    MemoryRanges memory =
        MemoryRanges.ofRam(ram)
            .with(Kind.HOLE, holes)
            .with(Kind.SOFT_RESERVED, soft)
            .with(Kind.PMEM, pmem)
            .with(Kind.HOTPLUGGABLE, numaOff ? List.of() : hotpluggable);
    Profile profile = Profile.x86(levels, vmemmapBase(levels));
    MachineSpec spec = new MachineSpec(profile, config, memory, cmdline, blockSize(ram));
    if (spec.endOfMemory() > 1L << physmemBits) {
      throw new BadInput(
          "memory up to 0x%x: a %d-level kernel addresses %s"
              .formatted(spec.endOfMemory(), levels, Sizes.text(1L << physmemBits)));
    }
    return spec;
  }

  private static List<Ram> listOf(
      long type, List<Ram> ram, List<Ram> holes, List<Ram> soft, List<Ram> pmem) {
    if (type == E820Table.E820_TYPE_RAM) {
      return ram;
    }
    if (type == E820Table.E820_TYPE_SOFT_RESERVED) {
      return soft;
    }
    return type == E820Table.E820_TYPE_PRAM ? pmem : holes;
  }

  private boolean applyParams(List<String> cmdline) {
    boolean numaOff = false;
    for (Cmdline.Param param : Cmdline.params(cmdline)) {
      if (param.is("mem") && table.parseMemopt(param.text()) != 0) {
        throw new BadInput(param.word() + ": wanted mem=SIZE, as in mem=4G");
      }
      if (param.is("memmap") && table.parseMemmapOpt(param.text()) != 0) {
        throw new BadInput(
            param.word()
                + ": wanted SIZE, SIZE@START, SIZE$START, SIZE!START, SIZE%START-OLD+NEW or"
                + " exactmap");
      }
      if (param.is("numa")) {
        numaOff |= numaSetup(param);
      }
    }
    table.e820FinishEarlyParams();
    return numaOff;
  }

  private static boolean numaSetup(Cmdline.Param param) {
    if (param.text().startsWith("fake=")) {
      throw new BadInput(
          param.word() + ": emulated nodes are not modelled, give --nodes or node lines");
    }
    return param.text().startsWith("off");
  }

  /** Cuts an entry to full pages (RAM inwards, all else outwards) and at the borders of nodes. */
  private void addPages(E820Table.Entry entry, boolean oneNode, List<Ram> to, boolean inwards) {
    long start = inwards ? roundUp(entry.addr()) : entry.addr() & -PAGE_SIZE;
    long end = inwards ? entry.end() & -PAGE_SIZE : roundUp(entry.end());
    if (start >= end) {
      return;
    }
    if (nodes.isEmpty() || oneNode) {
      to.add(new Ram(start, end, 0));
    } else if (inwards) {
      splitByNode(start, end, to);
    } else {
      to.add(new Ram(start, end, nodeOf(start)));
    }
  }

  private void splitByNode(long start, long end, List<Ram> to) {
    for (Ram node : nodes) {
      if (node.start() > start && node.start() < end) {
        break;
      }
      long stop = Math.min(end, node.end());
      if (node.start() <= start && start < stop) {
        to.add(new Ram(start, stop, node.node()));
        start = stop;
      }
    }
    if (start < end) {
      throw new BadInput(
          "memory 0x%x-0x%x is on no node: wanted node lines that cover all System RAM"
              .formatted(start, end - 1));
    }
  }

  private int nodeOf(long address) {
    for (Ram node : nodes) {
      if (node.start() <= address && address < node.end()) {
        return node.node();
      }
    }
    return 0;
  }

  private static long roundUp(long address) {
    return (address + PAGE_SIZE - 1) & -PAGE_SIZE;
  }

  /** VMEMMAP_START of a kernel without address randomisation. */
  static long vmemmapBase(int levels) {
    return levels == 5 ? MachineSpec.VMEMMAP_BASE_L5 : MachineSpec.VMEMMAP_BASE_L4;
  }

  /** Size of a memory block on a virtual machine, as probe_memory_block_size() picks it. */
  static long blockSize(List<Ram> ram) {
    long end = ram.isEmpty() ? 0 : ram.getLast().end();
    if (end < BLOCK_LARGE_FROM) {
      return MachineSpec.MEMORY_BLOCK_SIZE;
    }
    long size = BLOCK_MAX;
    while (size > MachineSpec.MEMORY_BLOCK_SIZE && end % size != 0) {
      size >>= 1;
    }
    return size;
  }
}
