// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Resource;

/** Regions and devices: their files, what each refuses, and what a failure leaves behind. */
class BusTest {
  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final String DAX0 = "dax0.0";
  private static final String DAX1 = "dax0.1";

  private final DaxMachine m = new DaxMachine().boot().withSoftReserved(GIB, 512 * MIB);
  private final Bus bus = m.dax.bus();

  private DaxRegion region() {
    assertEquals(0, m.dax.registerHmem());
    return bus.regions().get(0);
  }

  private DevDax empty(String name) {
    DevDax devDax = m.devDax(name);
    assertEquals(0, bus.sizeStore(devDax, 0));
    return devDax;
  }

  private static List<Long> starts(DevDax devDax) {
    return devDax.ranges().stream().map(Range::start).toList();
  }

  /** A driver that does nothing but remember. */
  private static final class Recorder implements DaxDeviceDriver {
    final Type type;
    final List<String> calls = new ArrayList<>();
    int result;

    Recorder(Type type) {
      this.type = type;
    }

    @Override
    public String name() {
      return "recorder";
    }

    @Override
    public Type type() {
      return type;
    }

    @Override
    public int probe(DevDax devDax) {
      calls.add("probe " + devDax.name());
      return result;
    }

    @Override
    public void remove(DevDax devDax) {
      calls.add("remove " + devDax.name());
    }
  }

  // ---- regions ----

  /** What dax_hmem makes of 512 MiB. Expect one device of all of it that nobody drives. */
  @Test
  void hmem_region_oneFullDevice() {
    DaxRegion region = region();

    assertEquals(0, region.id());
    assertEquals(512 * MIB, region.size());
    assertEquals(2 * MIB, region.align());
    assertEquals(0, region.targetNode());
    assertEquals(0, bus.daxRegionAvailSize(region));
    assertFalse(m.devDax(DAX0).bound());
    assertEquals(-Errno.ENOSPC, bus.createStore(region, 1));
  }

  /** Regions that are misaligned, or overlap. Expect none made. */
  @Test
  void allocDaxRegion_badRange_null() {
    region();
    Device parent = new Device("p", 0);
    assertNull(bus.allocDaxRegion(parent, 5, new Range(MIB, 3 * MIB - 1), 0, 2 * MIB, 0));
    assertNull(bus.allocDaxRegion(parent, 5, new Range(0, 3 * MIB - 1), 0, 2 * MIB, 0));
    Range overlap = new Range(GIB, GIB + 2 * MIB - 1);
    assertNull(bus.allocDaxRegion(parent, 5, overlap, 0, 2 * MIB, 0));
    assertTrue(m.log().getLast().startsWith("p: dax_region resource conflict for [mem 0x40000000"));
  }

  /** A parent that keeps data of its own. Expect the WARN and no region. */
  @Test
  void allocDaxRegion_drvdataTaken_warns() {
    Device parent = new Device("p", 0);
    parent.setDrvdata(this);
    assertNull(bus.allocDaxRegion(parent, 5, new Range(0, 2 * MIB - 1), 0, 2 * MIB, 0));
    assertEquals(
        List.of("alloc_dax_region: dax core failed to setup private data"), m.warnings());
  }

  /** Memory runs out while a region is made. Expect none, and the range free for the next. */
  @ParameterizedTest
  @ValueSource(strings = {"alloc_dax_region", "sysfs_create_groups", "__devm_add_action"})
  void allocDaxRegion_noMemory_undone(String site) {
    Range range = new Range(4 * GIB, 5 * GIB - 1);
    m.failNth(1, site);
    assertNull(bus.allocDaxRegion(new Device("p", 0), 5, range, 0, 2 * MIB, 0));
    assertNotNull(bus.allocDaxRegion(new Device("q", 0), 5, range, 0, 2 * MIB, 0));
    assertEquals(1, bus.regions().size());
  }

  // ---- size, align, mapping ----

  /**
   * A device grows step by step around another.
   *
   * <pre>
   *   | dax0.0 2M | dax0.1 2M | dax0.0 +4M |
   * </pre>
   *
   * Expect a second range behind the other device, joined when it grows further.
   */
  @Test
  void sizeStore_grows_aroundOther() {
    DaxRegion region = region();
    DevDax first = grownAround(region);

    assertEquals(
        List.of(new Range(GIB, GIB + 2 * MIB - 1), new Range(GIB + 4 * MIB, GIB + 8 * MIB - 1)),
        first.ranges());
    assertEquals(512 * MIB - 8 * MIB, bus.daxRegionAvailSize(region));
    assertEquals(GIB + 4 * MIB, bus.daxPgoffToPhys(first, 512, 2 * MIB));
    assertEquals(-1, bus.daxPgoffToPhys(first, 511, 2 * MIB));
    assertEquals(-1, bus.daxPgoffToPhys(first, 5000, 4 * KIB));
  }

  /** Grows dax0.0 to 6 MiB in two ranges, with 2 MiB of dax0.1 between. */
  private DevDax grownAround(DaxRegion region) {
    DevDax first = empty(DAX0);
    assertEquals(0, bus.sizeStore(first, 2 * MIB));
    assertEquals(0, bus.createStore(region, 1));
    assertEquals(0, bus.sizeStore(m.devDax(DAX1), 2 * MIB));
    assertEquals(0, bus.sizeStore(first, 4 * MIB));
    assertEquals(0, bus.sizeStore(first, 6 * MIB));
    return first;
  }

  /** Smaller: the last range goes first, then the one before is cut. Expect the space free. */
  @Test
  void sizeStore_shrinks_fromTheEnd() {
    DevDax first = grownAround(region());

    assertEquals(0, bus.sizeStore(first, 4 * MIB));
    assertEquals(List.of(GIB, GIB + 4 * MIB), starts(first));
    assertEquals(0, bus.sizeStore(first, 2 * MIB));
    assertEquals(List.of(GIB), starts(first));
    assertEquals(0, bus.sizeStore(first, 2 * MIB));
    assertEquals(0, bus.sizeStore(first, 0));
    assertEquals(List.of(), first.ranges());
  }

  /** The free space is in front of, between and behind others. Expect it taken in that order. */
  @Test
  void sizeStore_gaps_frontFirst() {
    DaxRegion region = region();
    DevDax first = empty(DAX0);
    assertEquals(0, bus.createStore(region, 1));
    DevDax second = m.devDax(DAX1);
    assertEquals(0, bus.mappingStore(first, GIB + 4 * MIB, GIB + 6 * MIB - 1));
    assertEquals(0, bus.mappingStore(first, GIB + 8 * MIB, GIB + 10 * MIB - 1));

    assertEquals(0, bus.sizeStore(second, 508 * MIB));

    assertEquals(List.of(GIB, GIB + 6 * MIB, GIB + 10 * MIB), starts(second));
    assertEquals(0, bus.daxRegionAvailSize(region));
  }

  /** More than there is, a size that is no multiple, a bound device. Expect the error of each. */
  @Test
  void sizeStore_refusals() {
    region();
    DevDax devDax = m.devDax(DAX0);
    assertEquals(-Errno.EINVAL, bus.sizeStore(devDax, MIB));
    assertEquals(-Errno.ENOSPC, bus.sizeStore(devDax, GIB));
    devDax.dev.setDriver(this);
    assertEquals(-Errno.EBUSY, bus.sizeStore(devDax, 2 * MIB));
    devDax.region.dev.setDriver(null);
    assertEquals(-Errno.ENXIO, bus.sizeStore(devDax, 2 * MIB));
  }

  /**
   * A device whose size was right for its old alignment.
   *
   * <p>2 MiB + 1 GiB more is a multiple of 1 GiB, what is added is not. Expect -ENXIO and the WARN.
   */
  @Test
  void sizeStore_growthMisaligned_warns() {
    DaxMachine big = new DaxMachine().boot().withSoftReserved(GIB, 2 * GIB);
    assertEquals(0, big.dax.registerHmem());
    DevDax devDax = big.devDax(DAX0);
    Bus other = big.dax.bus();
    assertEquals(0, other.sizeStore(devDax, 2 * MIB));
    devDax.align = GIB;

    assertEquals(-Errno.ENXIO, other.sizeStore(devDax, GIB));
    assertEquals(List.of("dev_dax_resize: resize misaligned"), big.warnings());
  }

  /** The entry of the range in the region's tree has gone. Expect -ENXIO and the WARN. */
  @Test
  void sizeStore_shrinkWithoutEntry_warns() {
    DaxRegion region = region();
    DevDax devDax = m.devDax(DAX0);
    Resource entry = Objects.requireNonNull(region.res.child);
    entry.name = "somebody else";

    assertEquals(-Errno.ENXIO, bus.sizeStore(devDax, 2 * MIB));
    assertEquals(List.of("dev_dax_shrink: failed to find matching resource"), m.warnings());
  }

  /** Direct calls with sizes that their callers never pass. Expect the WARN of each. */
  @Test
  void ranges_zeroSize_warn() {
    DaxRegion region = region();
    DevDax devDax = m.devDax(DAX0);
    assertEquals(-Errno.EBUSY, bus.allocDevDaxRange(devDax, GIB, 0));
    Resource entry = Objects.requireNonNull(region.res.child);
    assertEquals(-Errno.EINVAL, bus.adjustDevDaxRange(devDax, entry, 0));
    assertEquals(-Errno.EBUSY, bus.adjustDevDaxRange(devDax, entry, GIB));
    assertEquals(
        List.of(
            "alloc_dev_dax_range: 0-size allocation must be first",
            "adjust_dev_dax_range: deletion is handled by dev_dax_shrink"),
        m.warnings());
  }

  /** Memory runs out while a device grows. Expect -ENOMEM and the size as it was. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "alloc_resource",
        "alloc_dev_dax_range",
        "devm_register_dax_mapping",
        "ida_alloc",
        "device_add"
      })
  void sizeStore_noMemory_unchanged(String site) {
    DaxRegion region = region();
    DevDax devDax = empty(DAX0);
    m.failNth(1, site);

    assertEquals(-Errno.ENOMEM, bus.sizeStore(devDax, 2 * MIB));

    assertEquals(512 * MIB, bus.daxRegionAvailSize(region));
    assertEquals(List.of(), devDax.ranges());
    assertEquals(0, bus.sizeStore(devDax, 2 * MIB));
  }

  /** A mapping that is taken, misaligned, or of a region that is gone. Expect as sysfs answers. */
  @Test
  void mappingStore_refusals() {
    region();
    DevDax devDax = m.devDax(DAX0);
    assertEquals(-Errno.ENOMEM, bus.mappingStore(devDax, GIB, GIB + 2 * MIB - 1));
    assertEquals(0, bus.mappingStore(devDax, GIB, GIB + MIB - 1), "ignored");
    devDax.region.dev.setDriver(null);
    assertEquals(0, bus.mappingStore(devDax, GIB, GIB + 2 * MIB - 1), "ignored");
    assertEquals(1, devDax.ranges().size());
  }

  /**
   * A range is added while the region has no driver. Expect -ENXIO, the WARN, and the range gone.
   */
  @Test
  void allocDevDaxRange_regionDisabled_warns() {
    region();
    DevDax devDax = empty(DAX0);
    devDax.region.dev.setDriver(null);
    assertEquals(-Errno.ENXIO, bus.allocDevDaxRange(devDax, GIB, 2 * MIB));
    assertEquals(List.of("devm_register_dax_mapping: region disabled"), m.warnings());
    assertEquals(List.of(), devDax.ranges());
  }

  /** Page sizes: none such, too large for the range, bound, no region. Expect the error of each. */
  @Test
  void alignStore_refusals() {
    region();
    DevDax devDax = m.devDax(DAX0);
    assertEquals(-Errno.EINVAL, bus.alignStore(devDax, 16 * MIB));
    assertEquals(-Errno.EINVAL, bus.alignStore(devDax, GIB));
    assertEquals(2 * MIB, devDax.align());
    assertEquals(0, bus.alignStore(devDax, 4 * KIB));
    devDax.dev.setDriver(this);
    assertEquals(-Errno.EBUSY, bus.alignStore(devDax, 2 * MIB));
    devDax.region.dev.setDriver(null);
    assertEquals(-Errno.ENXIO, bus.alignStore(devDax, 2 * MIB));
  }

  // ---- create, delete ----

  /** Devices made and deleted. Expect the lowest number each time, and number 0 always there. */
  @Test
  void createDelete_numbers() {
    DaxRegion region = region();
    empty(DAX0);
    assertEquals(0, bus.createStore(region, 1));
    assertEquals(0, bus.createStore(region, 1));
    assertEquals(-Errno.EINVAL, bus.createStore(region, 2));

    assertEquals(0, bus.deleteStore(region, DAX1));
    assertNull(bus.find(DAX1));
    assertEquals(0, bus.createStore(region, 1));
    assertNotNull(bus.find(DAX1));

    assertEquals(-Errno.EBUSY, bus.deleteStore(region, DAX0));
    assertEquals(-Errno.ENXIO, bus.deleteStore(region, "dax0.9"));
    assertEquals(0, bus.sizeStore(m.devDax(DAX1), 2 * MIB));
    assertEquals(-Errno.EBUSY, bus.deleteStore(region, DAX1));
  }

  /** Memory runs out while a device is made. Expect -ENOMEM and no device. */
  @ParameterizedTest
  @ValueSource(strings = {"__devm_create_dev_dax", "ida_alloc", "alloc_dax", "device_add"})
  void createStore_noMemory_none(String site) {
    DaxRegion region = region();
    empty(DAX0);
    m.failNth(1, site);
    assertEquals(-Errno.ENOMEM, bus.createStore(region, 1));
    assertEquals(1, bus.devices().size());
    m.machine.faults().disarm();
    assertEquals(0, bus.createStore(region, 1));
    assertNotNull(bus.find(DAX1));
  }

  /**
   * The note for the end of the device cannot be made. Expect -ENOMEM and the device gone again.
   */
  @Test
  void createStore_noMemoryForAction_undone() {
    DaxRegion region = region();
    empty(DAX0);
    m.failNth(1, "__devm_add_action");
    assertEquals(-Errno.ENOMEM, bus.createStore(region, 1));
    assertEquals(1, bus.devices().size());
  }

  /** A static region: one device, made by its owner. Expect its files to refuse. */
  @Test
  void staticRegion_files_einval() {
    DaxMachine p = new DaxMachine().boot().withPmem(GIB, 384 * MIB);
    assertEquals(0, p.dax.registerPmem());
    assertEquals(
        0, p.dax.bind(DAX0, DaxBus.Source.PMEM, GIB, 0, 2 * MIB, DaxBus.MapTo.MEM));
    DaxRegion region = p.dax.bus().regions().get(0);
    assertEquals(-Errno.EINVAL, p.dax.bus().createStore(region, 1));
    assertEquals(-Errno.EINVAL, p.dax.bus().deleteStore(region, DAX0));
  }

  /** Files of a device whose owner has fixed it, and of another. Expect those that change it to go. */
  @Test
  void devDaxVisible_staticRegion_sizeIsToRead() {
    Bus.DevDaxData data =
        new Bus.DevDaxData(staticRegion(), new DevPagemap(0), 4 * MIB, 0, false);
    DevDax fixed = Objects.requireNonNull(bus.devmCreateDevDax(data).devDax());
    region();
    DevDax free = m.devDax(DAX0);

    for (String attr : List.of("size", "align")) {
      assertEquals(0444, Bus.devDaxVisible(fixed, attr, 0644));
      assertEquals(0644, Bus.devDaxVisible(free, attr, 0644));
    }
    assertEquals(0, Bus.devDaxVisible(fixed, "mapping", 0200));
    assertEquals(0200, Bus.devDaxVisible(free, "mapping", 0200));
    assertEquals(0444, Bus.devDaxVisible(fixed, "numa_node", 0444));
    assertEquals(0444, Bus.devDaxVisible(fixed, "target_node", 0444));
    fixed.targetNode = -1;
    assertEquals(0, Bus.devDaxVisible(fixed, "target_node", 0444));
  }

  /** Numbers and pgmaps that the kind of region does not allow. Expect the WARN of each. */
  @Test
  void devmCreateDevDax_wrongKind_warns() {
    DaxRegion dynamic = region();
    empty(DAX0);
    assertEquals(
        -Errno.EINVAL,
        bus.devmCreateDevDax(new Bus.DevDaxData(dynamic, null, 0, 3, false)).error());
    assertEquals(
        0,
        bus.devmCreateDevDax(new Bus.DevDaxData(dynamic, new DevPagemap(0), 0, -1, false))
            .error());
    DaxRegion fixed = staticRegion();
    assertEquals(
        -Errno.EINVAL,
        bus.devmCreateDevDax(new Bus.DevDaxData(fixed, null, 2 * MIB, -1, false)).error());
    assertEquals(
        List.of(
            "__devm_create_dev_dax: static id specified to dynamic region",
            "__devm_create_dev_dax: custom dev_pagemap requires a static dax_region",
            "__devm_create_dev_dax: dynamic id specified to static region"),
        m.warnings());
  }

  private DaxRegion staticRegion() {
    Device parent = new Device("nd", 0);
    parent.setDriver(this);
    return Objects.requireNonNull(
        bus.allocDaxRegion(
            parent,
            9,
            new Range(4 * GIB, 4 * GIB + 4 * MIB - 1),
            0,
            2 * MIB,
            DaxRegion.IORESOURCE_DAX_STATIC));
  }

  /** More than the region, and no memory for the pgmap. Expect -ENOMEM and the range free again. */
  @Test
  void devmCreateDevDax_noRoomOrMemory_enomem() {
    DaxRegion fixed = staticRegion();
    DevPagemap pgmap = new DevPagemap(0);
    assertEquals(
        -Errno.ENOMEM,
        bus.devmCreateDevDax(new Bus.DevDaxData(fixed, pgmap, GIB, 0, false)).error());
    m.failNth(1, "kmemdup");
    assertEquals(
        -Errno.ENOMEM,
        bus.devmCreateDevDax(new Bus.DevDaxData(fixed, pgmap, 4 * MIB, 0, false)).error());
    assertEquals(4 * MIB, bus.daxRegionAvailSize(fixed));
  }

  /** The device of a static region comes with a pgmap, another without. Expect a copy of the one. */
  @Test
  void devmCreateDevDax_pgmap_isCopied() {
    Bus.DevDaxData data =
        new Bus.DevDaxData(staticRegion(), new DevPagemap(0), 4 * MIB, 0, false);
    assertTrue(Objects.requireNonNull(bus.devmCreateDevDax(data).devDax()).hasOwnPgmap());
    region();
    assertFalse(m.devDax(DAX0).hasOwnPgmap());
  }

  // ---- drivers ----

  /** Drivers by type and by name. Expect an hmem device to go to the RAM driver unless named. */
  @Test
  void drivers_matchByTypeOrName() {
    region();
    Recorder kmem = new Recorder(DaxDeviceDriver.Type.DAXDRV_KMEM_TYPE);
    Recorder fsdev = new Recorder(DaxDeviceDriver.Type.DAXDRV_FSDEV_TYPE);

    bus.daxDriverRegister(fsdev);
    bus.daxDriverRegister(kmem);

    assertEquals(List.of(), fsdev.calls);
    assertEquals(List.of("probe dax0.0"), kmem.calls);
    assertEquals(-Errno.ENODEV, bus.bindStore(fsdev, DAX0));
    assertEquals(-Errno.ENODEV, bus.unbindStore(fsdev, DAX0));
    assertEquals(0, bus.newIdStore(fsdev, DAX0));
    assertEquals(-Errno.EBUSY, bus.bindStore(fsdev, DAX0));
    assertEquals(0, bus.unbindStore(kmem, DAX0));
    assertEquals(0, bus.bindStore(fsdev, DAX0));
    assertEquals(0, bus.removeIdStore(fsdev, DAX0));
    bus.daxDriverUnregister(fsdev);
    assertEquals(List.of("probe dax0.0", "remove dax0.0"), fsdev.calls);
    assertEquals(List.of("probe dax0.0", "remove dax0.0"), kmem.calls);
  }

  /** Names that are no device's. Expect -EINVAL; no memory for a name, -ENOMEM. */
  @Test
  void newId_badName_einval() {
    Recorder any = new Recorder(DaxDeviceDriver.Type.DAXDRV_DEVICE_TYPE);
    assertEquals(-Errno.EINVAL, bus.newIdStore(any, "dax0"));
    assertEquals(-Errno.EINVAL, bus.newIdStore(any, "dax00.1"));
    assertEquals(-Errno.EINVAL, bus.removeIdStore(any, "pmem0"));
    m.failNth(1, "do_id_store");
    assertEquals(-Errno.ENOMEM, bus.newIdStore(any, DAX0));
  }

  /** A driver that is registered twice. Expect the BUG of the driver core. */
  @Test
  void daxDriverRegister_twice_bug() {
    Recorder any = new Recorder(DaxDeviceDriver.Type.DAXDRV_DEVICE_TYPE);
    bus.daxDriverRegister(any);
    assertThrows(KernelBug.class, () -> bus.daxDriverRegister(any));
  }

  /** A device without a size. Expect -ENXIO without asking the driver. */
  @Test
  void bindStore_noSize_enxio() {
    region();
    empty(DAX0);
    Recorder kmem = new Recorder(DaxDeviceDriver.Type.DAXDRV_KMEM_TYPE);
    bus.daxDriverRegister(kmem);
    assertEquals(-Errno.ENXIO, bus.bindStore(kmem, DAX0));
    assertEquals(List.of(), kmem.calls);
  }

  /** A seed is bound. Expect the next device that is made to be the seed. */
  @Test
  void seed_movesOnWhenBound() {
    DaxRegion region = region();
    DevDax first = empty(DAX0);
    assertNull(region.seed);
    assertEquals(0, bus.createStore(region, 1));
    DevDax second = m.devDax(DAX1);
    assertEquals(second, region.seed);
    assertEquals(0, bus.sizeStore(second, 2 * MIB));
    bus.daxDriverRegister(new Recorder(DaxDeviceDriver.Type.DAXDRV_KMEM_TYPE));
    assertNull(region.seed);
    assertTrue(second.bound());
    assertFalse(first.bound());
  }

  /**
   * The newest device of a region is deleted, and an older one. Expect the region to forget the
   * newest only when that one goes.
   */
  @Test
  void deleteStore_youngest_isForgotten() {
    DaxRegion region = region();
    empty(DAX0);
    assertEquals(0, bus.createStore(region, 1));
    assertEquals(0, bus.createStore(region, 1));
    DevDax youngest = m.devDax("dax0.2");
    assertEquals(youngest, region.youngest);

    assertEquals(0, bus.deleteStore(region, DAX1));
    assertEquals(youngest, region.youngest);
    assertEquals(0, bus.deleteStore(region, "dax0.2"));
    assertNull(region.youngest);
    assertNull(bus.find("dax0.2"));
  }

  /** A device of another region. Expect -ENXIO, and the device to stay. */
  @Test
  void deleteStore_otherRegion_isNotFound() {
    m.withSoftReserved(2 * GIB, 512 * MIB);
    DaxRegion first = region();
    DaxRegion second = bus.regions().get(1);
    assertEquals(0, bus.sizeStore(m.devDax("dax1.0"), 0));
    assertEquals(0, bus.createStore(second, 1));

    assertEquals(-Errno.ENXIO, bus.deleteStore(first, "dax1.1"));
    assertNotNull(bus.find("dax1.1"));
    assertEquals(0, bus.deleteStore(second, "dax1.1"));
  }

  /** All that a region has left, and 2 MiB more. Expect the first to fit, -ENOSPC for the second. */
  @Test
  void sizeStore_allThatIsLeft_fits() {
    DaxRegion region = region();
    DevDax first = empty(DAX0);
    assertEquals(0, bus.createStore(region, 1));
    assertEquals(0, bus.sizeStore(m.devDax(DAX1), 256 * MIB));

    assertEquals(-Errno.ENOSPC, bus.sizeStore(first, 258 * MIB));
    assertEquals(0, Bus.devDaxSize(first));
    assertEquals(0, bus.sizeStore(first, 256 * MIB));
    assertEquals(-Errno.ENOSPC, bus.sizeStore(first, 258 * MIB));
    assertEquals(256 * MIB, Bus.devDaxSize(first));
    assertEquals(0, bus.sizeStore(first, 254 * MIB));
    assertEquals(List.of(GIB + 256 * MIB), starts(first));
    assertEquals(254 * MIB, Bus.devDaxSize(first));
    assertEquals(0, bus.sizeStore(first, 256 * MIB));
  }

  // ---- what stays behind ----

  /** A device is made and deleted. Expect its memory back, and its number. */
  @Test
  void deleteStore_device_givesItsMemoryBack() {
    DaxRegion region = region();
    empty(DAX0);
    long objects = m.slab.objectsInUse();

    assertEquals(0, bus.createStore(region, 1));
    assertEquals(objects + 1, m.slab.objectsInUse());
    assertEquals(0, bus.deleteStore(region, DAX1));

    assertEquals(objects, m.slab.objectsInUse());
    assertEquals(1, region.ida.cardinality());
  }

  /** A device cannot be registered, or not be undone later. Expect all of its memory back. */
  @ParameterizedTest
  @ValueSource(strings = {"alloc_dax", "device_add", "__devm_add_action"})
  void createStore_fails_givesItsMemoryBack(String site) {
    DaxRegion region = region();
    empty(DAX0);
    long objects = m.slab.objectsInUse();
    m.failNth(1, site);

    assertEquals(-Errno.ENOMEM, bus.createStore(region, 1));

    assertEquals(objects, m.slab.objectsInUse());
    assertEquals(1, region.ida.cardinality());
  }

  /**
   * A static device, whose pgmap was copied, goes with its region's parent.
   *
   * <pre>
   *   slab   | address_space | copy of the pgmap |      both back at the end
   * </pre>
   *
   * Expect the memory, the range of the region and the region itself to be free again.
   */
  @Test
  void devresReleaseAll_staticDevice_leavesNothing() {
    long objects = m.slab.objectsInUse();
    DaxRegion fixed = staticRegion();
    DevPagemap pgmap = m.device(4 * GIB, 4 * MIB, 0);
    assertEquals(
        0, bus.devmCreateDevDax(new Bus.DevDaxData(fixed, pgmap, 4 * MIB, 0, false)).error());
    DevDax devDax = m.devDax("dax9.0");
    assertTrue(devDax.bound());
    assertTrue(devDax.dev.isRegistered());
    assertEquals(0, bus.daxRegionAvailSize(fixed));

    fixed.dev.devresReleaseAll();

    assertNull(bus.find("dax9.0"));
    assertFalse(devDax.bound());
    assertFalse(devDax.dev.isRegistered());
    assertFalse(devDax.daxDev.daxAlive());
    assertEquals(List.of(), devDax.ranges());
    assertEquals(objects, m.slab.objectsInUse());
    assertEquals(4 * MIB, bus.daxRegionAvailSize(fixed));
    assertEquals(List.of(), bus.regions());
    fixed.dev.setDrvdata(null);
    assertNotNull(staticRegionAgain(fixed.dev));
  }

  private @Nullable DaxRegion staticRegionAgain(Device parent) {
    return bus.allocDaxRegion(
        parent,
        9,
        new Range(4 * GIB, 4 * GIB + 4 * MIB - 1),
        0,
        2 * MIB,
        DaxRegion.IORESOURCE_DAX_STATIC);
  }

  /** A device's second range gets a file of its own. Expect it to go with the range. */
  @Test
  void mapping_secondRange_comesAndGoes() {
    DevDax first = grownAround(region());
    DevDax.DevDaxRange second = first.ranges.get(1);
    DevDax.DaxMapping mapping = Objects.requireNonNull(second.mapping);
    assertEquals(1, mapping.rangeId);
    assertEquals(512, second.pgoff);
    assertTrue(mapping.id > Objects.requireNonNull(first.ranges.get(0).mapping).id);

    assertEquals(0, bus.sizeStore(first, 2 * MIB));

    assertNull(second.mapping);
    assertEquals(-1, mapping.rangeId);
    assertNotNull(first.ranges.get(0).mapping);
    assertTrue(m.warnings().isEmpty());
  }

  /** A name is taken off a driver's list. Expect the driver to have the device no longer. */
  @Test
  void removeId_name_isForgotten() {
    region();
    Recorder fsdev = new Recorder(DaxDeviceDriver.Type.DAXDRV_FSDEV_TYPE);
    bus.daxDriverRegister(fsdev);
    assertEquals(0, bus.newIdStore(fsdev, DAX0));
    assertEquals(0, bus.newIdStore(fsdev, "dax0.7"));
    assertEquals(0, bus.unbindStore(fsdev, DAX0));
    assertEquals(0, bus.bindStore(fsdev, DAX0));
    assertEquals(0, bus.unbindStore(fsdev, DAX0));

    assertEquals(0, bus.removeIdStore(fsdev, DAX0));

    assertEquals(-Errno.ENODEV, bus.bindStore(fsdev, DAX0));
    assertFalse(bus.hasId(fsdev, DAX0));
    assertTrue(bus.hasId(fsdev, "dax0.7"));
  }

  /** A driver goes. Expect its names forgotten, so that it starts anew when it comes back. */
  @Test
  void daxDriverUnregister_names_areForgotten() {
    region();
    Recorder fsdev = new Recorder(DaxDeviceDriver.Type.DAXDRV_FSDEV_TYPE);
    bus.daxDriverRegister(fsdev);
    assertEquals(0, bus.newIdStore(fsdev, DAX0));

    bus.daxDriverUnregister(fsdev);
    assertFalse(m.devDax(DAX0).bound());
    bus.daxDriverRegister(fsdev);

    assertFalse(m.devDax(DAX0).bound());
    assertEquals(List.of("probe dax0.0", "remove dax0.0"), fsdev.calls);
  }

  /** A probe that fails. Expect its error, the driver's data gone and the device free. */
  @Test
  void bindStore_probeFails_deviceIsFree() {
    region();
    Recorder kmem = new Recorder(DaxDeviceDriver.Type.DAXDRV_KMEM_TYPE);
    kmem.result = -Errno.EBUSY;
    bus.daxDriverRegister(kmem);
    DevDax devDax = m.devDax(DAX0);
    List<String> done = new ArrayList<>();
    devDax.dev.setDrvdata("of the driver");
    assertEquals(0, devDax.dev.devmAddAction(m.mm, null, () -> done.add("undone")));

    assertEquals(-Errno.EBUSY, bus.bindStore(kmem, DAX0));

    assertFalse(devDax.bound());
    assertNull(devDax.dev.drvdata());
    assertEquals(List.of("undone"), done);
  }

  /** A driver is unbound. Expect its data and what it took to be given back. */
  @Test
  void unbindStore_bound_givesBackWhatItTook() {
    region();
    Recorder kmem = new Recorder(DaxDeviceDriver.Type.DAXDRV_KMEM_TYPE);
    bus.daxDriverRegister(kmem);
    DevDax devDax = m.devDax(DAX0);
    List<String> done = new ArrayList<>();
    devDax.dev.setDrvdata("of the driver");
    assertEquals(0, devDax.dev.devmAddAction(m.mm, null, () -> done.add("undone")));

    assertEquals(0, bus.unbindStore(kmem, DAX0));

    assertNull(devDax.dev.drvdata());
    assertEquals(List.of("undone"), done);
  }

  /** Pages of a device in two parts. Expect each part's first and last page, and none behind. */
  @Test
  void daxPgoffToPhys_twoRanges_lastPages() {
    DevDax first = grownAround(region());

    assertEquals(GIB, bus.daxPgoffToPhys(first, 0, 2 * MIB));
    assertEquals(GIB + 511 * 4 * KIB, bus.daxPgoffToPhys(first, 511, 4 * KIB));
    assertEquals(GIB + 8 * MIB - 4 * KIB, bus.daxPgoffToPhys(first, 1535, 4 * KIB));
    assertEquals(-1, bus.daxPgoffToPhys(first, 1536, 4 * KIB));
    assertEquals(-1, bus.daxPgoffToPhys(first, 1535, 8 * KIB));
  }

  /** Page sizes that a process can have here. Expect 4 KiB always, the others by the machine. */
  @Test
  void alignStore_bySizesOfTheMachine() {
    region();
    DevDax devDax = m.devDax(DAX0);
    Bus small =
        new Bus(m.mm, m.slab, m.iomem, m.dax.memremap(), new Bus.ThpSizes(false, false));
    assertEquals(-Errno.EINVAL, small.alignStore(devDax, 2 * MIB));
    assertEquals(-Errno.EINVAL, small.alignStore(devDax, GIB));
    assertEquals(0, small.alignStore(devDax, 4 * KIB));
    assertEquals(0, bus.alignStore(devDax, 2 * MIB));
    assertEquals(2 * MIB, devDax.align());
  }

  /** A region goes with its device. Expect the name of its parent, its node and its place. */
  @Test
  void devmCreateDevDax_data_isTaken() {
    DaxRegion fixed = staticRegion();
    DevPagemap pgmap = m.device(4 * GIB, 4 * MIB, 0);
    assertEquals(
        0, bus.devmCreateDevDax(new Bus.DevDaxData(fixed, pgmap, 4 * MIB, 5, true)).error());
    DevDax devDax = m.devDax("dax9.5");

    assertEquals(2 * MIB, devDax.align());
    assertEquals(0, devDax.targetNode);
    assertTrue(devDax.memmapOnMemory);
    assertFalse(devDax.dynId);
    assertEquals(List.of(new Range(4 * GIB, 4 * GIB + 4 * MIB - 1)), devDax.ranges());
    assertEquals(9, devDax.region().id());
  }

  /**
   * A device grows into a gap behind its first range, which is not its last.
   *
   * <pre>
   *   before   | dax0.0 |  gap   | dax0.0 |
   *   after    | dax0.0 | dax0.0 | dax0.0 |     three ranges, the new one last
   * </pre>
   *
   * Expect a range of its own, as page offsets must stay in ascending order.
   */
  @Test
  void sizeStore_gapBehindAnEarlierRange_isANewRange() {
    DevDax first = grownAround(region());
    assertEquals(0, bus.sizeStore(m.devDax(DAX1), 0));

    assertEquals(0, bus.sizeStore(first, 8 * MIB));

    assertEquals(List.of(GIB, GIB + 4 * MIB, GIB + 2 * MIB), starts(first));
    assertEquals(GIB + 2 * MIB, bus.daxPgoffToPhys(first, 1536, 2 * MIB));
  }

  /** A device of two ranges loses both at once. Expect all of it free. */
  @Test
  void sizeStore_zero_dropsAllRanges() {
    DaxRegion region = region();
    DevDax first = grownAround(region);

    assertEquals(0, bus.sizeStore(first, 0));

    assertEquals(List.of(), first.ranges());
    assertEquals(510 * MIB, bus.daxRegionAvailSize(region));
  }

  /** Somebody has the end of what is to be cut off. Expect -EBUSY, and the size as it was. */
  @Test
  void sizeStore_endInUse_isRefused() {
    DaxRegion region = region();
    DevDax devDax = m.devDax(DAX0);
    Resource entry = Objects.requireNonNull(region.res.child);
    Resource user = new Resource(GIB + 256 * MIB, GIB + 512 * MIB - 1, "user", 0, 0);
    assertEquals(0, m.iomem.requestResource(entry, user));

    assertEquals(-Errno.EBUSY, bus.sizeStore(devDax, 2 * MIB));
    assertEquals(512 * MIB, Bus.devDaxSize(devDax));
  }

  /** The note for a mapping's end cannot be made. Expect -ENOMEM, and no range or mapping left. */
  @Test
  void sizeStore_noMemoryForTheMappingsEnd_unchanged() {
    DaxRegion region = region();
    DevDax devDax = empty(DAX0);
    m.failNth(1, "__devm_add_action");

    assertEquals(-Errno.ENOMEM, bus.sizeStore(devDax, 2 * MIB));

    assertEquals(List.of(), devDax.ranges());
    assertEquals(512 * MIB, bus.daxRegionAvailSize(region));
    assertEquals(0, bus.sizeStore(devDax, 2 * MIB));
  }

  /**
   * Devices are deleted that are not the seed, then the seed. Expect the region to forget its seed
   * only then.
   */
  @Test
  void deleteStore_seed_isForgotten() {
    DaxRegion region = region();
    empty(DAX0);
    assertEquals(0, bus.createStore(region, 1));
    assertEquals(0, bus.createStore(region, 1));
    DevDax seed = m.devDax(DAX1);
    assertEquals(seed, region.seed);

    assertEquals(0, bus.deleteStore(region, "dax0.2"));
    assertEquals(seed, region.seed);
    assertEquals(0, bus.deleteStore(region, DAX1));
    assertNull(region.seed);
  }

  /** A device that processes may open goes with its region. Expect it dead, and nothing mapped. */
  @Test
  void unregisterDevDax_alive_isKilled() {
    DaxRegion region = region();
    DevDax devDax = m.devDax(DAX0);
    devDax.daxDev.runDax();

    region.dev.devresReleaseAll();

    assertFalse(devDax.daxDev.daxAlive());
    assertEquals(0, region.ida.cardinality());
  }

  /**
   * The first device of a dynamic region cannot be made, at each step. Expect number 0 and the range
   * to be free again.
   */
  @ParameterizedTest
  @ValueSource(strings = {"alloc_resource", "alloc_dev_dax_range", "alloc_dax"})
  void devmCreateDevDax_firstFails_numberIsFree(String site) {
    DaxRegion dynamic = dynamicRegion();
    m.failNth(1, site);

    assertEquals(
        -Errno.ENOMEM,
        bus.devmCreateDevDax(new Bus.DevDaxData(dynamic, null, 2 * MIB, -1, false)).error());

    assertEquals(0, dynamic.ida.cardinality());
    assertEquals(4 * MIB, bus.daxRegionAvailSize(dynamic));
  }

  private DaxRegion dynamicRegion() {
    Device parent = new Device("p", 0);
    parent.setDriver(this);
    DaxRegion made =
        Objects.requireNonNull(
            bus.allocDaxRegion(
                parent, 8, new Range(4 * GIB, 4 * GIB + 4 * MIB - 1), 0, 2 * MIB, 0));
    assertEquals(made, parent.drvdata());
    return made;
  }

  /** A device's first mapping cannot be made. Expect the error, though the device stays. */
  @Test
  void devmCreateDevDax_noMapping_isAnError() {
    DaxRegion dynamic = dynamicRegion();
    m.failNth(1, "devm_register_dax_mapping");

    assertEquals(
        -Errno.ENOMEM,
        bus.devmCreateDevDax(new Bus.DevDaxData(dynamic, null, 2 * MIB, -1, false)).error());
    assertNotNull(bus.find("dax8.0"));
  }

  /** Number 0 for a device of a dynamic region. Expect the WARN, as for any number. */
  @Test
  void devmCreateDevDax_numberZero_warns() {
    DaxRegion dynamic = dynamicRegion();
    assertEquals(
        -Errno.EINVAL,
        bus.devmCreateDevDax(new Bus.DevDaxData(dynamic, null, 0, 0, false)).error());
    assertEquals(
        List.of("__devm_create_dev_dax: static id specified to dynamic region"), m.warnings());
  }

  /** A static device whose address space cannot be had. Expect the copy of its pgmap back. */
  @Test
  void devmCreateDevDax_noAddressSpace_givesThePgmapBack() {
    DaxRegion fixed = staticRegion();
    DevPagemap pgmap = m.device(4 * GIB, 4 * MIB, 0);
    long objects = m.slab.objectsInUse();
    m.failNth(1, "alloc_dax");

    assertEquals(
        -Errno.ENOMEM,
        bus.devmCreateDevDax(new Bus.DevDaxData(fixed, pgmap, 4 * MIB, 0, false)).error());

    assertEquals(objects, m.slab.objectsInUse());
  }

  /** The node that a region's memory would be on as RAM. Expect it as given, and for its devices. */
  @Test
  void allocDaxRegion_node_isKept() {
    Device parent = new Device("p", 0);
    parent.setDriver(this);
    DaxRegion made =
        Objects.requireNonNull(
            bus.allocDaxRegion(
                parent, 8, new Range(4 * GIB, 4 * GIB + 4 * MIB - 1), 3, 2 * MIB, 0));
    assertEquals(0, bus.devmCreateDevDax(new Bus.DevDaxData(made, null, 0, -1, false)).error());

    assertEquals(3, made.targetNode());
    assertEquals(3, m.devDax("dax8.0").targetNode);
    assertEquals(0, m.devDax("dax8.0").dev.numaNode());
  }
}
