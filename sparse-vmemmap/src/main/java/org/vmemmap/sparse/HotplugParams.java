// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.Mm;

/**
 * What an administrator sets: whether added memory hosts its own memmap, which zone it goes online
 * in, and whether it goes online by itself.
 */
@Kernel(file = "mm/memory_hotplug.c", symbol = "memmap_mode")
public final class HotplugParams {
  /** Where the memmap of added memory comes from. */
  public enum MemmapMode {
    /** From free memory. */
    MEMMAP_ON_MEMORY_DISABLE,
    /** From the added memory, where it fits. */
    MEMMAP_ON_MEMORY_ENABLE,
    /** Also where pages are lost to make it fit. */
    MEMMAP_ON_MEMORY_FORCE
  }

  private final Mm mm;
  private final Memblock memblock;
  private final long memoryBlockSize;
  private MemmapMode memmapMode = MemmapMode.MEMMAP_ON_MEMORY_DISABLE;
  private Mmop defaultOnlineType = Mmop.MMOP_OFFLINE;
  boolean onlinePolicyAutoMovable;
  long autoMovableRatio = 301;
  boolean autoMovableNumaAware = true;

  HotplugParams(Mm mm, Memblock memblock, long memoryBlockSize) {
    this.mm = mm;
    this.memblock = memblock;
    this.memoryBlockSize = memoryBlockSize;
  }

  /** Bytes of memmap of a block. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "memory_block_memmap_size")
  long memoryBlockMemmapSize() {
    return (memoryBlockSize >>> mm.model().pageShift()) * mm.struct().size();
  }

  private long memmapPages() {
    long pageSize = mm.model().pageSize();
    return (memoryBlockMemmapSize() + pageSize - 1) / pageSize;
  }

  /** Pages set aside for the memmap of a block; whole pageblocks when forced. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "memory_block_memmap_on_memory_pages")
  long memoryBlockMemmapOnMemoryPages() {
    long nrPages = memmapPages();
    if (memmapMode == MemmapMode.MEMMAP_ON_MEMORY_FORCE) {
      long block = mm.mmzone().pageblockNrPages();
      return (nrPages + block - 1) / block * block;
    }
    return nrPages;
  }

  /** {@code memory_hotplug.memmap_on_memory=}: Y, N or force. Returns 0 or -EINVAL. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "set_memmap_mode")
  public int setMemmapMode(@Nullable String val) {
    if ("force".equals(val) || "FORCE".equals(val)) {
      memmapMode = MemmapMode.MEMMAP_ON_MEMORY_FORCE;
      long waste = memoryBlockMemmapOnMemoryPages() - memmapPages();
      mm.printk()
          .prInfo("Memory hotplug will waste " + waste + " pages in each memory block");
      return 0;
    }
    Kstrtox.Parsed enabled = Kstrtox.kstrtobool(val);
    if (enabled.rc() < 0) {
      return enabled.rc();
    }
    memmapMode =
        enabled.value() == 1 ? MemmapMode.MEMMAP_ON_MEMORY_ENABLE : MemmapMode.MEMMAP_ON_MEMORY_DISABLE;
    return 0;
  }

  /** As /sys/module/memory_hotplug/parameters/memmap_on_memory shows it. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "get_memmap_mode")
  public String getMemmapMode() {
    return switch (memmapMode) {
      case MEMMAP_ON_MEMORY_DISABLE -> "N";
      case MEMMAP_ON_MEMORY_ENABLE -> "Y";
      case MEMMAP_ON_MEMORY_FORCE -> "force";
    };
  }

  /** True unless it is off. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mhp_memmap_on_memory")
  boolean mhpMemmapOnMemory() {
    return memmapMode != MemmapMode.MEMMAP_ON_MEMORY_DISABLE;
  }

  /** {@code memory_hotplug.online_policy=}: contig-zones or auto-movable. 0 or -EINVAL. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "set_online_policy")
  public int setOnlinePolicy(@Nullable String val) {
    if (!"contig-zones".equals(val) && !"auto-movable".equals(val)) {
      return -Errno.EINVAL;
    }
    onlinePolicyAutoMovable = "auto-movable".equals(val);
    return 0;
  }

  /** {@code memory_hotplug.auto_movable_ratio=}, in percent. 0 or -EINVAL. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "auto_movable_ratio")
  public int setAutoMovableRatio(@Nullable String val) {
    try {
      autoMovableRatio = Integer.parseUnsignedInt(val == null ? "" : val);
      return 0;
    } catch (NumberFormatException e) {
      return -Errno.EINVAL;
    }
  }

  /** {@code memory_hotplug.auto_movable_numa_aware=}. 0 or -EINVAL. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "auto_movable_numa_aware")
  public int setAutoMovableNumaAware(@Nullable String val) {
    Kstrtox.Parsed aware = Kstrtox.kstrtobool(val == null ? "1" : val);
    autoMovableNumaAware = aware.isOn(autoMovableNumaAware);
    return aware.rc();
  }

  /** What becomes of new blocks when nobody says. */
  @Kernel(
      file = "mm/memory_hotplug.c",
      symbol = "mhp_get_default_online_type",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The configurations here have MHP_DEFAULT_ONLINE_TYPE_OFFLINE, so there is no choice.")
  public Mmop mhpGetDefaultOnlineType() {
    return defaultOnlineType;
  }

  /** Sets it. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mhp_set_default_online_type")
  public void mhpSetDefaultOnlineType(Mmop type) {
    defaultOnlineType = type;
  }

  /** {@code memhp_default_state=}; another word changes nothing. Always 0. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "setup_memhp_default_state")
  public int setupMemhpDefaultState(@Nullable String str) {
    Mmop type = str == null ? null : Mmop.mhpOnlineTypeFromStr(str);
    if (type != null) {
      defaultOnlineType = type;
    }
    return 0;
  }

  /**
   * {@code movable_node}: hotpluggable boot memory is kept for ZONE_MOVABLE, and memory without a
   * zone goes there too. Always 0.
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "cmdline_parse_movable_node")
  public int cmdlineParseMovableNode() {
    memblock.setMovableNode(true);
    return 0;
  }

  boolean movableNodeIsEnabled() {
    return memblock.movableNodeIsEnabled();
  }
}
