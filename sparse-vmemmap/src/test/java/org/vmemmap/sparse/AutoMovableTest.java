// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.HotplugMachine.BLOCK;
import static org.vmemmap.sparse.HotplugMachine.FIRST_BLOCK;
import static org.vmemmap.sparse.HotplugMachine.PFN;
import static org.vmemmap.sparse.HotplugMachine.START;
import static org.vmemmap.sparse.MemoryAdd.MHP_NID_IS_MGID;
import static org.vmemmap.sparse.MemoryAdd.MHP_NONE;
import static org.vmemmap.sparse.SmallMachine.SECTION;

import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The ratio of movable to kernel memory, page by page, and the words that parameters take.
 *
 * <p>The machine has 384 MiB of kernel memory from boot, 98304 pages; a block has 32768.
 */
class AutoMovableTest {
  private static final long EARLY = 98304;
  private static final String KERNEL = "Normal Movable";
  private static final String MOVABLE = "Movable Normal";

  private final HotplugMachine k = new HotplugMachine();
  private final Zone movable = k.m.zone(0, ZoneType.ZONE_MOVABLE);
  private final Zone dma32 = k.m.zone(0, ZoneType.ZONE_DMA32);

  private String zones(long block) {
    return String.valueOf(k.h.sysfs().read(k.file(block) + "valid_zones"));
  }

  private void ratio(int percent) {
    assertEquals(0, k.h.params().setOnlinePolicy("auto-movable"));
    assertEquals(0, k.h.params().setAutoMovableRatio(Integer.toString(percent)));
  }

  private MemoryGroup dynamicGroup(long unitPages) {
    int mgid = k.h.groups().memoryGroupRegisterDynamic(0, unitPages);
    return Objects.requireNonNull(k.h.groups().memoryGroupFindById(mgid));
  }

  /** Movable memory that somebody else has: it only counts. */
  private void movablePresent(long pages) {
    movable.presentPages = pages;
  }

  // ---- the ratio ----

  /** One block. Expect it movable from the first percentage that holds all its pages. */
  @Test
  void autoMovable_ratio_isExact() {
    k.add(0, 1, MHP_NONE);

    ratio(33);
    assertEquals(KERNEL, zones(0));
    ratio(34);
    assertEquals(MOVABLE, zones(0));
    ratio(100);
    movablePresent(EARLY - SECTION);
    assertEquals(MOVABLE, zones(0));
    movablePresent(EARLY - SECTION + 1);
    assertEquals(KERNEL, zones(0));
  }

  /** Some kernel memory is CMA's. Expect it to count as movable, and not as kernel's. */
  @Test
  void autoMovable_cma_countsAsMovable() {
    k.add(0, 1, MHP_NONE);
    dma32.cmaPages = 16384;

    ratio(59);
    assertEquals(KERNEL, zones(0));
    ratio(60);
    assertEquals(MOVABLE, zones(0));
  }

  /** A zone that has no present pages. Expect its old counters not to count. */
  @Test
  void autoMovable_unpopulatedZone_isPassedOver() {
    k.add(0, 1, MHP_NONE);
    Zone normal = k.m.zone(0, ZoneType.ZONE_NORMAL);
    normal.presentEarlyPages = 1 << 20;
    assertEquals(0, normal.presentPages);

    ratio(33);
    assertEquals(KERNEL, zones(0));
  }

  /**
   * A dynamic group that has both kinds, at a ratio of 100.
   *
   * <pre>
   *   it needs   30000 * 100 / 100 - 5000 = 25000 of the kernel's early pages
   *   left       98304 - 25000 = 73304      movable, without its 30000
   * </pre>
   *
   * Expect the others to have what is left, page by page.
   */
  @Test
  void autoMovable_otherGroup_takesItsPart() {
    k.add(0, 1, MHP_NONE);
    MemoryGroup group = dynamicGroup(SECTION);
    group.presentMovablePages = 30000;
    group.presentKernelPages = 5000;
    ratio(100);

    movablePresent(73304 + 30000 - SECTION);
    assertEquals(MOVABLE, zones(0));
    movablePresent(73304 + 30000 - SECTION + 1);
    assertEquals(KERNEL, zones(0));

    // More kernel pages than it needs: it gives nothing to others.
    group.presentKernelPages = 40000;
    movablePresent(EARLY + 30000 - SECTION);
    assertEquals(MOVABLE, zones(0));
    movablePresent(EARLY + 30000 - SECTION + 1);
    assertEquals(KERNEL, zones(0));
  }

  /** A group that needs all early pages of the kernel, or all but one. Expect none, then one. */
  @Test
  void autoMovable_groupNeedsAll_leavesNothing() {
    k.add(0, 1, MHP_NONE);
    MemoryGroup group = dynamicGroup(SECTION);
    ratio(100);
    movablePresent(1);

    group.presentMovablePages = EARLY;
    assertEquals(KERNEL, zones(0));
    group.presentMovablePages = EARLY - 1;
    assertEquals(MOVABLE, zones(0));
    movablePresent(EARLY - SECTION);
    assertEquals(MOVABLE, zones(0));
    movablePresent(EARLY - SECTION + 1);
    assertEquals(KERNEL, zones(0));
  }

  /** The block's own dynamic group. Expect its kernel pages to count for it. */
  @Test
  void autoMovable_ownGroup_addsItsKernelPages() {
    int mgid = k.h.groups().memoryGroupRegisterDynamic(0, SECTION);
    MemoryGroup group = Objects.requireNonNull(k.h.groups().memoryGroupFindById(mgid));
    assertEquals(0, k.h.add().addMemory(mgid, START, BLOCK, MHP_NID_IS_MGID));
    ratio(100);
    group.presentKernelPages = 1000;

    movablePresent(EARLY + 1000 - SECTION);
    assertEquals(MOVABLE, zones(0));
    movablePresent(EARLY + 1000 - SECTION + 1);
    assertEquals(KERNEL, zones(0));
  }

  /**
   * A unit of four blocks of which one is online movable.
   *
   * <pre>
   *   |Movable|  ?  |  ?  |  ?  |     3 blocks to come, 4 movable in the end: 131072 pages
   * </pre>
   *
   * Expect the others to be movable from 134 percent on.
   */
  @Test
  void autoMovable_unit_countsWhatIsToCome() {
    int mgid = k.h.groups().memoryGroupRegisterDynamic(0, 4 * SECTION);
    assertEquals(0, k.h.add().addMemory(mgid, START, 4 * BLOCK, MHP_NID_IS_MGID));
    assertEquals(0, k.write(0, "online_movable"));

    ratio(133);
    assertEquals("Normal Movable", zones(2));
    ratio(134);
    assertEquals("Movable Normal", zones(2));
  }

  /** The same as a static group. Expect all of it to be one unit, with the same limit. */
  @Test
  void autoMovable_staticGroup_countsWhatIsToCome() {
    int mgid = k.h.groups().memoryGroupRegisterStatic(0, 4 * SECTION);
    assertEquals(0, k.h.add().addMemory(mgid, START, 4 * BLOCK, MHP_NID_IS_MGID));
    assertEquals(0, k.write(0, "online_movable"));

    ratio(133);
    assertEquals(KERNEL, zones(2));
    ratio(134);
    assertEquals(MOVABLE, zones(2));
  }

  /** Two units of two blocks; the second has kernel memory. Expect the first not to look there. */
  @Test
  void autoMovable_unit_endsBeforeTheNext() {
    int mgid = k.h.groups().memoryGroupRegisterDynamic(0, 2 * SECTION);
    assertEquals(0, k.h.add().addMemory(mgid, START, 4 * BLOCK, MHP_NID_IS_MGID));
    assertEquals(0, k.write(2, "online_kernel"));
    ratio(300);

    assertEquals(MOVABLE, zones(0));
    assertEquals(KERNEL, zones(3));
  }

  /** Two nodes, of which the block's own has no early memory. Expect both to be asked. */
  @Test
  void autoMovable_numaAware_asksBothNodes() {
    assertEquals(0, k.h.add().addMemory(1, START, BLOCK, MHP_NONE));
    ratio(300);
    assertEquals(KERNEL, zones(0));
    k.h.params().setAutoMovableNumaAware("n");
    assertEquals(MOVABLE, zones(0));
    movablePresent(4 * EARLY);
    assertEquals(KERNEL, zones(0));
    movablePresent(0);
    k.h.params().setAutoMovableNumaAware(null);
    assertEquals(KERNEL, zones(0));
    assertEquals(0, k.h.params().setOnlinePolicy("contig-zones"));
    k.h.params().setAutoMovableNumaAware("n");
    assertEquals(KERNEL, zones(0));
  }

  // ---- kernel zones ----

  /** A lower zone spans part of the block. Expect it to be the kernel's choice, Normal otherwise. */
  @Test
  void defaultKernelZone_lowerZoneIntersects_isThat() {
    k.add(0, 1, MHP_NONE);
    dma32.spannedPages = PFN - dma32.zoneStartPfn;
    assertEquals(KERNEL, zones(0));

    dma32.spannedPages++;
    assertTrue(zones(0).startsWith("DMA32 "), zones(0));
    k.h.params().cmdlineParseMovableNode();
    assertTrue(zones(0).startsWith("DMA32 "), zones(0));
  }

  // ---- parameters ----

  /** Words for a switch, as kstrtobool() reads them. Expect on, off, or -EINVAL. */
  @ParameterizedTest
  @CsvSource({
    "y,Y", "Yes,Y", "true,Y", "T,Y", "1,Y", "enabled,Y", "E,Y", "on,Y", "ON,Y", "n,N", "No,N",
    "false,N", "F,N", "0,N", "disabled,N", "D,N", "off,N", "Of,N", "o,", "ox,", "x,", "2,", "'',"
  })
  void setMemmapMode_word_isReadAsASwitch(String word, String mode) {
    k.h.params().setMemmapMode("force");
    int rc = k.h.params().setMemmapMode(word);
    assertEquals(mode == null ? -Errno.EINVAL : 0, rc);
    assertEquals(mode == null ? "force" : mode, k.h.params().getMemmapMode());
  }

  /** Ratios at the ends of an unsigned number. Expect the last to fit, no sign and no words. */
  @Test
  void setAutoMovableRatio_number_isUnsigned() {
    HotplugParams params = k.h.params();
    assertEquals(0, params.setAutoMovableRatio("2147483647"));
    assertEquals(Integer.MAX_VALUE, params.autoMovableRatio);
    assertEquals(-Errno.EINVAL, params.setAutoMovableRatio("4294967296"));
    assertEquals(-Errno.EINVAL, params.setAutoMovableRatio(""));
    assertEquals(-Errno.EINVAL, params.setAutoMovableRatio(null));
    assertEquals(Integer.MAX_VALUE, params.autoMovableRatio);
  }

  /** What becomes of new memory, by the boot parameter. Expect each word, and others ignored. */
  @Test
  void setupMemhpDefaultState_words_setTheDefault() {
    HotplugParams params = k.h.params();
    for (Mmop type : Mmop.values()) {
      assertEquals(0, params.setupMemhpDefaultState(type.mhpOnlineTypeToStr()));
      assertSame(type, params.mhpGetDefaultOnlineType());
    }
    assertEquals(0, params.setupMemhpDefaultState("online_some"));
    assertEquals(0, params.setupMemhpDefaultState(null));
    assertSame(Mmop.MMOP_ONLINE_MOVABLE, params.mhpGetDefaultOnlineType());
    assertSame(Mmop.MMOP_ONLINE, Mmop.mhpOnlineTypeFromStr("online\n"));
    assertNull(Mmop.mhpOnlineTypeFromStr("online\n\n"));
    assertFalse(params.movableNodeIsEnabled());
    assertEquals(0, params.cmdlineParseMovableNode());
    assertTrue(params.movableNodeIsEnabled());
  }

  /** Paths that name no file. Expect null, -ENOENT, and no reference left on a block. */
  @Test
  void sysfs_noSuchFile_isNotFound() {
    k.add(0, 1, MHP_NONE);
    String dir = "/sys/devices/system/memory/";
    String name = "memory" + FIRST_BLOCK;
    for (String path :
        new String[] {
          dir + name + "/state/more",
          dir + name,
          dir + "memoryx/state",
          dir + "memory1234567890/state",
          dir + name + "0/state",
          "/sys/devices/system/" + name + "/state"
        }) {
      assertNull(k.h.sysfs().read(path), path);
      assertEquals(-Errno.ENOENT, k.h.sysfs().write(path, "online"), path);
    }
    for (String file : new String[] {"valid_zones", "phys_index", "removable", "phys_device"}) {
      assertEquals(-Errno.EACCES, k.h.sysfs().write(k.file(0) + file, "1"), file);
    }
    assertEquals(1, k.h.blocks().all().getLast().refs());
    assertEquals(-Errno.ENOENT, k.h.sysfs().write(dir + "block_size_bytes", "1"));
    assertFalse(k.h.locks().held());
  }

  /** The file "online". Expect what is so already to be fine, and errors to be told. */
  @Test
  void onlineStore_already_isFine() {
    k.add(0, 1, MHP_NONE);
    String file = k.file(0) + "online";
    assertEquals(0, k.h.sysfs().write(file, "0"));
    assertEquals(0, k.h.sysfs().write(file, " 1\n"));
    assertEquals("1", k.h.sysfs().read(file));
    assertEquals(0, k.h.sysfs().write(file, "1"));
    k.h.online().setSignalPending(() -> true);
    assertEquals(-Errno.EINTR, k.h.sysfs().write(file, "0"));
    assertEquals("1", k.h.sysfs().read(file));
    assertFalse(k.h.locks().held());
    assertEquals(-Errno.EINVAL, k.write(0, "online"));
  }
}
