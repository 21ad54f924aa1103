// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Device memory on the generic path: patches 33 to 35, 42 and 44. */
class DaxSectionSeriesTest {
  /**
   * A kernel with device DAX and without HugeTLB's optimisation. Expect a tail to point to its head
   * before patch 33, and to hold the mask of its order with it.
   */
  @Test
  @Tag("patch-33")
  void compoundInfo_daxOnlyBuild_isAMask() {
    assertEquals("head | 1", Seen.at(32, "dax-only-tail-word"));
    assertEquals("0xffffffffffff8001", Seen.at(33, "dax-only-tail-word"));
  }

  /**
   * Tails of two folios of 2 MiB of a device, in the radix tree of powerpc, whose kernels never have
   * HugeTLB's optimisation. Expect each to point to its head before patch 33, and the same mask in
   * both with it.
   */
  @Test
  @Tag("patch-33")
  void compoundInfo_powerpcTailsOfTwoFolios_areEqualWithThePatch() {
    assertEquals("differ, pointers", tailsOnRadix(32));
    assertEquals("equal, masks", tailsOnRadix(33));
  }

  private static String tailsOnRadix(int level) {
    Profile radix = Boards.powerpc(4096, Profile.RADIX);
    MachineSpec board = Boards.ofSize(radix, SeriesMachine.GIB, 1, List.of(), List.of());
    SeriesMachine machine =
        new SeriesMachine(new Level(level).on(SeriesMachine.withDevices(board)));
    DeviceMeasures.add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9);
    Mm mm = machine.kernel().mm();
    Page head = mm.model().pfnToPage(SeriesMachine.DEVICE >>> 12);
    long word = mm.struct().word(mm.struct().add(head, 5), 8);
    long next = mm.struct().word(mm.struct().add(head, 512 + 5), 8);
    String what =
        word == (head.va() | 1) ? "pointers" : word == 0xffff_ffff_ffff_8001L ? "masks" : "?";
    return (word == next ? "equal, " : "differ, ") + what;
  }

  /**
   * A device of 1 GiB. Expect one frame less for each compound page with patch 34, pages of 512 KiB
   * to be optimised at all, and a second device to need no other shared tail, which stays when both are
   * gone.
   *
   * <pre>
   *   level 33   [ f0 ][ f1 ][ f1 ] ..   [ f2 ][ f3 ][ f3 ] ..
   *   level 34   [ f0 ][ T  ][ T  ] ..   [ f1 ][ T  ][ T  ] ..
   * </pre>
   */
  @Test
  @Tag("patch-34")
  void memremap_compoundPages_shareOneTailInTheZone() {
    assertEquals("1024", Seen.at(33, "dax-2m-pages"));
    assertEquals("512", Seen.at(34, "dax-2m-pages"));
    assertEquals("2", Seen.at(33, "dax-1g-pages"));
    assertEquals("1", Seen.at(34, "dax-1g-pages"));
    assertEquals("4096", Seen.at(33, "dax-512k-pages"));
    assertEquals("2048", Seen.at(34, "dax-512k-pages"));
    assertEquals("1024 2048 0", counts(33, 9));
    assertEquals("512 1024 0", counts(34, 9));
    assertEquals("2 4 0", counts(33, 18));
    assertEquals("1 2 0", counts(34, 18));
    assertEquals("4096 8192 0", counts(33, 7));
    assertEquals("2048 4096 0", counts(34, 7));
  }

  private static String counts(int level, int shift) {
    SeriesMachine machine = new SeriesMachine(level);
    assertEquals(0, machine.addDevice("a", SeriesMachine.DEVICE, SeriesMachine.GIB, shift));
    long one = machine.memmapPages();
    long second = SeriesMachine.DEVICE + 2 * SeriesMachine.GIB;
    assertEquals(0, machine.addDevice("b", second, SeriesMachine.GIB, shift));
    long two = machine.memmapPages();
    Mm mm = machine.kernel().mm();
    Page far = mm.model().pfnToPage((second >>> 12) + 100);
    assertEquals(mm.model().pfnToPage((second >>> 12) + (100 & -(1 << shift))),
        mm.flags().compoundHead(far));
    if (level >= 34) {
      assertEquals(1, mm.machine().ledger().count(Owner.SHARED_TAIL));
    }
    machine.removeDevice("a");
    machine.removeDevice("b");
    assertEquals(level >= 34 ? 1 : 0, mm.machine().ledger().count(Owner.SHARED_TAIL));
    return one + " " + two + " " + machine.memmapPages();
  }

  /**
   * A section that is populated at run time, with order 9 and ZONE_NORMAL as its zone. Expect the
   * shared tail of ZONE_DEVICE before patch 35, which gives its struct pages the wrong zone, and
   * that of ZONE_NORMAL with it.
   */
  @Test
  @Tag("patch-35")
  void populate_sectionWithZone_usesItsTail() {
    assertEquals("Device", Seen.at(34, "tail-zone"));
    assertEquals("Normal", Seen.at(35, "tail-zone"));
  }

  /**
   * Two nodes, and a device in pages of 2 MiB on node 1, whose memmap is populated before
   * ZONE_DEVICE spans it.
   *
   * <pre>
   *   node 0   [ RAM ]             node 1   [ RAM ] .. [ device ]
   * </pre>
   *
   * Expect the slot of order 9 to be filled in node 1's ZONE_DEVICE only, and tails that name it, on
   * both sides of patch 35: before it ZONE_DEVICE is taken for granted. A section for ZONE_NORMAL of
   * node 1 shows the difference: Device's tail before the patch, Normal's with it.
   */
  @Test
  @Tag("patch-35")
  void populate_deviceOnNode1_fillsItsSlot() {
    assertEquals("[1/Device/9], tail in 1 Device", slotsOfNode1(34, null));
    assertEquals("[1/Device/9], tail in 1 Device", slotsOfNode1(35, null));
    assertEquals("[1/Device/9], tail in 1 Device", slotsOfNode1(34, ZoneType.ZONE_NORMAL));
    assertEquals("[1/Normal/9], tail in 1 Normal", slotsOfNode1(35, ZoneType.ZONE_NORMAL));
  }

  private static String slotsOfNode1(int level, @Nullable ZoneType zone) {
    MachineSpec two = MachineSpecs.ofSize(1L << 30, 2, List.of(), 4, List.of());
    Ram room = new Ram(SeriesMachine.DEVICE, SeriesMachine.DEVICE + SeriesMachine.GIB, 1);
    SeriesMachine machine =
        new SeriesMachine(new Level(level).on(SeriesMachine.withDeviceMemory(two, List.of(room))));
    Mm mm = machine.kernel().mm();
    long pfn = SeriesMachine.DEVICE >>> 12;
    if (zone == null) {
      int rc =
          machine
              .kernel()
              .dax()
              .memremap("dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9, null, 1);
      assertEquals(0, rc);
    } else {
      machine.kernel().sparse().sparseIndexInit(mm.mmzone().pfnToSectionNr(pfn), 1);
      machine.kernel().sparseVmemmap().sectionSetOrderRange(pfn, 32768, 9);
      Zone of = mm.nodes().nodeData(1).zone(zone);
      machine.kernel().sparseVmemmap().sectionSetZoneRange(pfn, 32768, of);
      machine.kernel().sparseVmemmap().populateSectionMemmap0(pfn, 32768, 1, null, null);
    }
    List<String> slots = new ZoneTails(mm).slots().stream().map(ZoneTails.Slot::name).toList();
    long flags = mm.struct().flags(mm.model().pfnToPage(pfn + 100));
    return "%s, tail in %d %s"
        .formatted(slots, mm.inline().nid(flags), mm.inline().zonenum(flags).label());
  }

  /**
   * The count of frames for a folio of 1 GiB that is asked at once, in a kernel with DEBUG_VM.
   * Expect one page in both, for one section and for all eight; but a warning before patch 42.
   */
  @Test
  @Tag("patch-42")
  void sectionVmemmapPages_wholeFolio_isNoMistake() {
    assertEquals("1 and a warning", Seen.at(41, "whole-folio-count"));
    assertEquals("1", Seen.at(42, "whole-folio-count"));
  }

  /**
   * Struct pages to initialise and frames of sections by their order; see the columns. Expect the
   * frames in both, and with patch 42 the struct pages to be what memmap_init_zone_device() visits.
   *
   * <pre>
   *   order   first pfn    pages    struct pages   frames
   *     0         0        32768       32768         512
   *     9         0        32768        4096          64
   *    18         0       262144          64           1
   *    18     32768        32768           0           0
   * </pre>
   */
  @Test
  @Tag("patch-42")
  void sectionVmemmapPageStructs_orders_areThoseOfTheFrames() {
    for (int level = 41; level <= 42; level++) {
      assertEquals("32768 512", structsAndFrames(level, 0, 0, 32768));
      assertEquals("4096 64", structsAndFrames(level, 9, 0, 32768));
      assertEquals("64 1", structsAndFrames(level, 18, 0, 32768));
      assertEquals("64 1", structsAndFrames(level, 18, 0, 262144));
      assertEquals("0 0", structsAndFrames(level, 18, 32768, 32768));
    }
  }

  private static String structsAndFrames(int level, int order, long at, long pages) {
    SeriesMachine machine = new SeriesMachine(level);
    DeviceMeasures.add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, order);
    SparseVmemmap vmemmap = machine.kernel().sparseVmemmap();
    long pfn = (SeriesMachine.DEVICE >>> 12) + at;
    return vmemmap.sectionVmemmapPageStructs(pfn, pages)
        + " "
        + vmemmap.sectionVmemmapPages(pfn, pages);
  }

  /**
   * arm64, which never asked for shared tails of devices. Expect the whole memmap before patch 44
   * and one frame for each compound page of 2 MiB with it.
   */
  @Test
  @Tag("patch-44")
  void memremap_arm64_sharesTails() {
    assertEquals("4096", Seen.at(43, "arm64-dax-2m-pages"));
    assertEquals("512", Seen.at(44, "arm64-dax-2m-pages"));
  }

  /**
   * Kernels without HugeTLB's optimisation whose option for shared struct pages is off. Expect arm64
   * to have the whole memmap on both sides of patch 44; and x86-64, where the architecture selects
   * the option before the patch, to share until then.
   */
  @Test
  @Tag("patch-44")
  void memremap_optionOff_sharesNothingWithThePatch() {
    MachineSpec arm = Boards.ofSize(Boards.arm64(4096, null), 256L << 20, 1, List.of(), List.of());
    MachineSpec pc = SeriesMachine.spec(512L << 20);
    assertEquals(4096, countedWithoutTheOption(43, arm));
    assertEquals(4096, countedWithoutTheOption(44, arm));
    assertEquals(512, countedWithoutTheOption(43, pc));
    assertEquals(4096, countedWithoutTheOption(44, pc));
  }

  private static long countedWithoutTheOption(int level, MachineSpec plain) {
    MachineSpec spec =
        plain.withConfig(
            plain
                .config()
                .withHugetlbOptimizeVmemmap(false)
                .withSparsememVmemmapOptimization(false));
    SeriesMachine machine = new SeriesMachine(new Level(level).on(SeriesMachine.withDevices(spec)));
    DeviceMeasures.add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9);
    return machine.memmapPages();
  }

  /**
   * A device of 1 GiB in pages of 2 MiB that holds its own memmap. Expect all of it to be counted,
   * in leaves, on both sides of patch 34: what lies in the device is not shared.
   */
  @Test
  @Tag("patch-34")
  void memremap_altmap_isNotOptimised() {
    for (int level = 33; level <= 34; level++) {
      SeriesMachine machine = new SeriesMachine(level);
      DaxBus.Altmap own = new DaxBus.Altmap(SeriesMachine.DEVICE >>> 12, 0, 4096);
      assertEquals(
          0,
          machine
              .kernel()
              .dax()
              .memremap("dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9, own, 0));
      assertEquals(4096, machine.memmapPages());
      assertTrue(
          new MemmapReader(machine.kernel().mm()).inLargeLeaf(SeriesMachine.DEVICE >>> 12));
    }
  }
}
