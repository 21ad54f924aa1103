// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.List;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.ZoneType;

/** Measures on memory that comes after boot: devices and hot-added sections. */
final class DeviceMeasures {
  /** Order of a compound page of 2 MiB. */
  static final int ORDER_2M = 9;

  /** Order of a compound page of 1 GiB. */
  static final int ORDER_1G = 18;

  private static final long PFN = SeriesMachine.DEVICE >>> 12;
  private static final long SECTION_PAGES = 32768;
  private static final long PAGEBLOCK = 2L << 20;
  private static final long FAR = 48L << 40;
  private static final int STRAY = 7;

  private DeviceMeasures() {}

  /** What {@code times} hot-adds of {@code bytes} add to nr_memmap_pages while memory is out. */
  static long failedHotAdds(Level level, long bytes, int times) {
    SeriesMachine machine = level.plain();
    long before = machine.memmapPages();
    machine.exhaustMemory();
    for (int i = 0; i < times; i++) {
      require(-Errno.ENOMEM, machine.addSection(SeriesMachine.DEVICE, bytes));
    }
    machine.healMemory();
    return machine.memmapPages() - before;
  }

  /** What a device of 1 GiB adds to nr_memmap_pages. */
  static long memmapPages(Level level, int order) {
    SeriesMachine machine = level.plain();
    long before = machine.memmapPages();
    add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, order);
    long added = machine.memmapPages() - before;
    machine.removeDevice("dax");
    return added;
  }

  /** The same on an arm64 machine with pages of 4K. */
  static long memmapPagesOnArm64(Level level, int order) {
    MachineSpec arm =
        Boards.ofSize(Boards.arm64(4096, null), 256L << 20, 1, List.of(), List.of());
    SeriesMachine machine = new SeriesMachine(level.on(SeriesMachine.withDevices(arm)));
    add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, order);
    return machine.memmapPages();
  }

  /** Movable pageblocks of a device. */
  static long movablePageblocks(Level level, long gib, int order) {
    SeriesMachine machine = level.plain();
    long bytes = gib * SeriesMachine.GIB;
    add(machine, "dax", SeriesMachine.DEVICE, bytes, order);
    long count = 0;
    for (long at = SeriesMachine.DEVICE; at < SeriesMachine.DEVICE + bytes; at += PAGEBLOCK) {
      count += machine.migratetype(at) == Migratetype.MIGRATE_MOVABLE ? 1 : 0;
    }
    machine.removeDevice("dax");
    return count;
  }

  /**
   * What a process that was there before finds at the struct page of a far device.
   *
   * @param order of its compound pages; with 0 it is not optimised
   * @param levelSync whether each level of page tables syncs the others by itself
   */
  static String processReads(Level level, int order, boolean levelSync) {
    MachineSpec spec = SeriesMachine.spec(512L << 20);
    List<Ram> far = List.of(new Ram(FAR, FAR + SeriesMachine.GIB, 0));
    SeriesMachine machine =
        new SeriesMachine(level.on(SeriesMachine.withDeviceMemory(spec, far)));
    long process = machine.kernel().newProcessPageTable();
    machine.kernel().mm().pgtable().setLevelSync(levelSync);
    add(machine, "far", FAR, SeriesMachine.GIB, order);
    Cpu cpu = machine.kernel().mm().machine().cpu();
    cpu.loadRoot(machine.kernel().mm().model().pa(process));
    try {
      cpu.readLong(machine.kernel().mm().model().pfnToPage(FAR >>> 12).va());
      return "no fault";
    } catch (MachineFault fault) {
      return "fault";
    }
  }

  /** Word 1 of a tail of a device, on a kernel built without HugeTLB's optimisation. */
  static String tailWordWithoutHugetlb(Level level) {
    MachineSpec spec = SeriesMachine.spec(512L << 20);
    SeriesMachine machine =
        new SeriesMachine(level.on(spec.withConfig(spec.config().withHugetlbOptimizeVmemmap(false))));
    add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, ORDER_2M);
    Mm mm = machine.kernel().mm();
    long word = mm.struct().word(mm.model().pfnToPage(PFN + 5), Long.BYTES);
    long head = mm.model().pfnToPage(PFN).va();
    return word == (head | 1) ? "head | 1" : "0x" + Long.toHexString(word);
  }

  /** The zone that a tail tells of a section that was populated for ZONE_NORMAL, with order 9. */
  static String zoneOfTail(Level level) {
    SeriesMachine machine = level.fresh();
    Mm mm = machine.kernel().mm();
    SparseVmemmap vmemmap = machine.kernel().sparseVmemmap();
    machine.kernel().sparse().sparseIndexInit(PFN >>> 15, 0);
    vmemmap.sectionSetOrderRange(PFN, SECTION_PAGES, ORDER_2M);
    vmemmap.sectionSetZoneRange(
        PFN, SECTION_PAGES, mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL));
    vmemmap.populateSectionMemmap0(PFN, SECTION_PAGES, 0, null, null);
    Page tail = mm.model().pfnToPage(PFN + 100);
    return mm.inline().zonenum(mm.struct().flags(tail)).label();
  }

  /** What a write to struct page {@code index} of a device's first folio of 2 MiB does. */
  static String strayWrite(Level level, long index) {
    SeriesMachine machine = level.fresh();
    add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, ORDER_2M);
    Mm mm = machine.kernel().mm();
    try {
      mm.refs().setPageCount(mm.model().pfnToPage(PFN + index), STRAY);
    } catch (MachineFault fault) {
      return "fault";
    }
    long changed = 0;
    for (long folio = PFN; folio < PFN + (1L << ORDER_1G); folio += 1L << ORDER_2M) {
      changed += mm.refs().pageRefCount(mm.model().pfnToPage(folio + index)) == STRAY ? 1 : 0;
    }
    return changed + (changed == 1 ? " folio" : " folios");
  }

  /** What the count of a device's folio of 1 GiB answers, on a kernel with DEBUG_VM. */
  static String wholeFolioCount(Level level) {
    MachineSpec spec = SeriesMachine.spec(512L << 20);
    SeriesMachine machine =
        new SeriesMachine(level.on(spec.withConfig(spec.config().withDebugVm(true))));
    add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, ORDER_1G);
    long pages = machine.kernel().sparseVmemmap().sectionVmemmapPages(PFN, 1L << ORDER_1G);
    boolean warned = machine.warned("section_vmemmap_pages: nr_pages > PAGES_PER_SECTION");
    return pages + (warned ? " and a warning" : "");
  }

  static void add(SeriesMachine machine, String name, long start, long bytes, int order) {
    require(0, machine.addDevice(name, start, bytes, order));
  }

  /** A scenario that does not come to what is to be seen is a mistake of the scenario. */
  static void require(int wanted, int rc) {
    if (rc != wanted) {
      throw new IllegalStateException("rc=" + rc + ": wanted " + wanted);
    }
  }
}
