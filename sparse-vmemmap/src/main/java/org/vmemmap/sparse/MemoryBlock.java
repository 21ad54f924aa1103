// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;

/**
 * {@code struct memory_block}: memory that goes online and offline as one, and its device. Changed
 * under device_hotplug_lock.
 */
@Kernel(file = "include/linux/memory.h", symbol = "struct memory_block")
public final class MemoryBlock {
  /** The block is in use. */
  public static final int MEM_ONLINE = 0;

  /** It is about to go. */
  public static final int MEM_GOING_OFFLINE = 1;

  /** It is not in use. */
  public static final int MEM_OFFLINE = 2;

  /** Told before a block goes online. */
  public static final int MEM_GOING_ONLINE = 3;

  /** Told when it did not. */
  public static final int MEM_CANCEL_ONLINE = 4;

  /** Told when it could not go offline. */
  public static final int MEM_CANCEL_OFFLINE = 5;

  final long va;
  final long startSectionNr;
  int state;
  Mmop onlineType = Mmop.MMOP_OFFLINE;
  int nid;
  @Nullable Zone zone;
  @Nullable VmemAltmap altmap;
  @Nullable MemoryGroup group;
  long nrHwpoison;

  /** References to the device; the block is freed with the last. */
  int refs = 1;

  /** {@code dev.offline}. */
  boolean devOffline;

  MemoryBlock(long va, long startSectionNr, int state, int nid) {
    this.va = va;
    this.startSectionNr = startSectionNr;
    this.state = state;
    this.nid = nid;
  }

  /** Linear address of the structure; 0 for a block of boot, whose is not modelled. */
  public long va() {
    return va;
  }

  /** MEM_ONLINE, MEM_GOING_OFFLINE or MEM_OFFLINE. */
  public int state() {
    return state;
  }

  /** The node, -1 when nobody said. */
  public int nid() {
    return nid;
  }

  /** The one zone that all pages are in; null when offline, or when there are several. */
  public @Nullable Zone zone() {
    return zone;
  }

  /** Where the block's memmap lies when it hosts it itself. */
  public @Nullable VmemAltmap altmap() {
    return altmap;
  }

  /** {@code start_section_nr}. */
  public long startSectionNr() {
    return startSectionNr;
  }

  /** References to the device. */
  public int refs() {
    return refs;
  }
}
