// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.ZoneSet;
import org.vmemmap.types.ZoneType;

/**
 * {@code gfp_t}: how an allocation may behave. Flags that only concern reclaim, file systems and
 * cpusets are folded into one.
 *
 * @param bits flag bits, private to this model
 */
@Kernel(file = "include/linux/gfp_types.h", symbol = "gfp_t")
public record Gfp(int bits) {
  private static final int DIRECT_RECLAIM = 1;
  private static final int MOVABLE_BIT = 2;
  private static final int HIGHMEM = 4;
  private static final int COMP = 8;
  private static final int ZERO_BIT = 16;
  private static final int NOWARN_BIT = 32;
  private static final int RETRY_MAYFAIL_BIT = 64;
  private static final int THISNODE_BIT = 128;
  private static final int NORETRY_BIT = 256;
  private static final int RECLAIMABLE_BIT = 512;
  private static final int DMA_BIT = 1024;
  private static final int DMA32_BIT = 2048;
  private static final int NOFAIL_BIT = 4096;
  private static final int HIGH_BIT = 8192;

  /** GFP_KERNEL. */
  public static final Gfp KERNEL = new Gfp(DIRECT_RECLAIM);

  /** GFP_HIGHUSER. */
  public static final Gfp HIGHUSER = new Gfp(DIRECT_RECLAIM | HIGHMEM);

  /** GFP_HIGHUSER_MOVABLE. */
  public static final Gfp HIGHUSER_MOVABLE = new Gfp(DIRECT_RECLAIM | HIGHMEM | MOVABLE_BIT);

  /** GFP_NOWAIT: no reclaim. */
  public static final Gfp NOWAIT = new Gfp(NOWARN_BIT);

  /** GFP_ATOMIC: no reclaim, some of the reserves. */
  public static final Gfp ATOMIC = new Gfp(HIGH_BIT);

  /** __GFP_MOVABLE. */
  public static final Gfp MOVABLE = new Gfp(MOVABLE_BIT);

  /** __GFP_RECLAIMABLE. */
  public static final Gfp RECLAIMABLE = new Gfp(RECLAIMABLE_BIT);

  /** __GFP_DMA. */
  public static final Gfp DMA = new Gfp(DMA_BIT);

  /** __GFP_DMA32. */
  public static final Gfp DMA32 = new Gfp(DMA32_BIT);

  /** __GFP_COMP. */
  public static final Gfp COMPOUND = new Gfp(COMP);

  /** __GFP_ZERO. */
  public static final Gfp ZERO = new Gfp(ZERO_BIT);

  /** __GFP_NOWARN. */
  public static final Gfp NOWARN = new Gfp(NOWARN_BIT);

  /** __GFP_RETRY_MAYFAIL. */
  public static final Gfp RETRY_MAYFAIL = new Gfp(RETRY_MAYFAIL_BIT);

  /** __GFP_THISNODE. */
  public static final Gfp THISNODE = new Gfp(THISNODE_BIT);

  /** __GFP_NORETRY. */
  public static final Gfp NORETRY = new Gfp(NORETRY_BIT);

  /** __GFP_NOFAIL. */
  public static final Gfp NOFAIL = new Gfp(NOFAIL_BIT);

  /** {@code this | other}. */
  public Gfp or(Gfp other) {
    return new Gfp(bits | other.bits);
  }

  /** {@code this & ~other}. */
  public Gfp without(Gfp other) {
    return new Gfp(bits & ~other.bits);
  }

  /** {@code this & other}: any bit of {@code other} is set. */
  public boolean has(Gfp other) {
    return (bits & other.bits) != 0;
  }

  /** {@code __GFP_DIRECT_RECLAIM} is set. */
  boolean canDirectReclaim() {
    return (bits & DIRECT_RECLAIM) != 0;
  }

  /** {@code __GFP_HIGH} is set. */
  boolean high() {
    return (bits & HIGH_BIT) != 0;
  }

  /**
   * {@code gfp_zone()}: the highest zone that the request may use, of those that the kernel is built
   * with. Without a zone for DMA, all of ZONE_NORMAL will do.
   */
  @Kernel(file = "include/linux/gfp.h", symbol = "gfp_zone")
  public ZoneType gfpZone(ZoneSet zones) {
    if ((bits & DMA_BIT) != 0) {
      return zones.has(ZoneType.ZONE_DMA) ? ZoneType.ZONE_DMA : ZoneType.ZONE_NORMAL;
    }
    if ((bits & DMA32_BIT) != 0) {
      return zones.has(ZoneType.ZONE_DMA32) ? ZoneType.ZONE_DMA32 : ZoneType.ZONE_NORMAL;
    }
    int movable = MOVABLE_BIT | HIGHMEM;
    return (bits & movable) == movable ? ZoneType.ZONE_MOVABLE : ZoneType.ZONE_NORMAL;
  }

  /** {@code gfp_migratetype()}. */
  @Kernel(file = "mm/page_alloc.h", symbol = "gfp_migratetype")
  public Migratetype gfpMigratetype() {
    if ((bits & MOVABLE_BIT) != 0) {
      return Migratetype.MIGRATE_MOVABLE;
    }
    return (bits & RECLAIMABLE_BIT) != 0
        ? Migratetype.MIGRATE_RECLAIMABLE
        : Migratetype.MIGRATE_UNMOVABLE;
  }
}
