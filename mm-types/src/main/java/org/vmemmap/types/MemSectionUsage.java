// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** {@code struct mem_section_usage}: which parts of a section are in use, and its pageblocks. */
@Kernel(file = "include/linux/mmzone.h", symbol = "struct mem_section_usage")
public final class MemSectionUsage {
  private final long va;
  private final long[] subsectionMap;
  private final long[] pageblockFlags;
  private boolean freed;

  /**
   * Describes a usage record, all bits clear.
   *
   * @param va where the record lies in simulated memory; decides who may free it
   * @param subsections bits of the subsection map
   * @param blockflagsBits SECTION_BLOCKFLAGS_BITS
   */
  public MemSectionUsage(long va, int subsections, int blockflagsBits) {
    this.va = va;
    this.subsectionMap = new long[(subsections + 63) / 64];
    this.pageblockFlags = new long[(blockflagsBits + 63) / 64];
  }

  /** Virtual address of the record, in the linear window. */
  public long va() {
    return va;
  }

  /** The record is given back: nobody may look at it any more. */
  public void free() {
    freed = true;
  }

  /** The bitmap of subsections, changed in place. */
  public long[] subsectionMap() {
    if (freed) {
      throw new KernelBug("use-after-free: struct mem_section_usage at 0x" + Long.toHexString(va));
    }
    return subsectionMap;
  }

  /** The pageblock flags, changed in place: NR_PAGEBLOCK_BITS for each pageblock. */
  public long[] pageblockFlags() {
    return pageblockFlags;
  }
}
