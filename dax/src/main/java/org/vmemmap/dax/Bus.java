// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.DevDax.DaxMapping;
import org.vmemmap.dax.DevDax.DevDaxRange;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;

/**
 * Regions, the devices that are cut from them, and their sysfs files.
 *
 * <pre>
 *   region 0   |  dax0.0          |  dax0.1  |   free            |
 *              start                                             end
 *   size_store(dax0.1) grows into the free space behind it
 *   size_store(dax0.0) cannot, and gets a second range there
 * </pre>
 *
 * A static region has one device, made by another subsystem with its own {@link DevPagemap}; a
 * dynamic one is divided by whoever writes its files. Sysfs writes return 0 where the kernel
 * returns the length written. The bus's locks are not modelled.
 */
@Kernel(file = "drivers/dax/bus.c", symbol = "dax_bus_type")
public final class Bus {
  /** {@code sizeof(struct dev_pagemap)} in bytes. */
  static final long SIZEOF_DEV_PAGEMAP = 160;

  private static final boolean CONFIG_DEV_DAX_KMEM = true;
  private static final long SIZEOF_ADDRESS_SPACE = 192;

  private final Mm mm;
  private final Printk printk;
  private final Slab slab;
  private final IomemResource resources;
  private final Memremap memremap;
  private final ThpSizes thp;
  private final Resource daxRegions =
      new Resource(0, -1, "DAX Regions", Resource.IORESOURCE_MEM, Resource.IORES_DESC_NONE);
  private final List<DaxDeviceDriver> drivers = new ArrayList<>();
  private final Map<DaxDeviceDriver, Set<String>> ids = new HashMap<>();
  private final List<DevDax> devices = new ArrayList<>();
  private final List<DaxRegion> regions = new ArrayList<>();

  /**
   * Which leaves above the base page a process can have.
   *
   * @param pmd {@code has_transparent_hugepage()}
   * @param pud {@code has_transparent_pud_hugepage()}
   */
  public record ThpSizes(boolean pmd, boolean pud) {}

  /**
   * {@code struct dev_dax_data}.
   *
   * @param region from which region
   * @param pgmap for a static region, the struct pages that its subsystem wants
   * @param size in bytes; 0 for a seed device
   * @param id number of the device in a static region, -1 in a dynamic one
   * @param memmapOnMemory for the driver that makes System RAM
   */
  @Kernel(file = "drivers/dax/bus.h", symbol = "struct dev_dax_data")
  record DevDaxData(
      DaxRegion region, @Nullable DevPagemap pgmap, long size, int id, boolean memmapOnMemory) {}

  /** Makes the bus of one machine, without drivers. */
  Bus(Mm mm, Slab slab, IomemResource resources, Memremap memremap, ThpSizes thp) {
    this.mm = mm;
    this.printk = mm.printk();
    this.slab = slab;
    this.resources = resources;
    this.memremap = memremap;
    this.thp = thp;
  }

  /** All registered devices, oldest first. */
  public List<DevDax> devices() {
    return List.copyOf(devices);
  }

  /** All regions, oldest first. */
  public List<DaxRegion> regions() {
    return List.copyOf(regions);
  }

  /** True when {@code name} was written to the driver's {@code new_id}. */
  boolean hasId(DaxDeviceDriver drv, String name) {
    return ids.getOrDefault(drv, Set.of()).contains(name);
  }

  /** {@code bus_find_device_by_name()}; null for none. */
  @Kernel(file = "include/linux/device/bus.h", symbol = "bus_find_device_by_name")
  public @Nullable DevDax find(String name) {
    return devices.stream().filter(each -> each.name().equals(name)).findFirst().orElse(null);
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_match_id")
  private boolean daxMatchId(DaxDeviceDriver drv, DevDax devDax) {
    return hasId(drv, devDax.name());
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_match_type")
  private static boolean daxMatchType(DaxDeviceDriver drv, DevDax devDax) {
    boolean kmem = (devDax.region.res.flags & DaxRegion.IORESOURCE_DAX_KMEM) != 0;
    DaxDeviceDriver.Type type =
        kmem ? DaxDeviceDriver.Type.DAXDRV_KMEM_TYPE : DaxDeviceDriver.Type.DAXDRV_DEVICE_TYPE;
    if (drv.type() == type) {
      return true;
    }
    return drv.type() == DaxDeviceDriver.Type.DAXDRV_DEVICE_TYPE && !CONFIG_DEV_DAX_KMEM;
  }

  /** Writes a device name to a driver's {@code new_id}: the driver may have that device too. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "new_id_store")
  public int newIdStore(DaxDeviceDriver drv, String name) {
    int error = checkId(name);
    if (error != 0) {
      return error;
    }
    if (!hasId(drv, name)) {
      if (mm.mayFail("do_id_store")) {
        return -Errno.ENOMEM;
      }
      ids.computeIfAbsent(drv, any -> new HashSet<>()).add(name);
    }
    driverAttach(drv);
    return 0;
  }

  /** Writes a device name to a driver's {@code remove_id}. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "remove_id_store")
  public int removeIdStore(DaxDeviceDriver drv, String name) {
    int error = checkId(name);
    if (error == 0) {
      ids.getOrDefault(drv, new HashSet<>()).remove(name);
    }
    return error;
  }

  /** The checks of {@code do_id_store()}: 0 or -EINVAL. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "do_id_store")
  private static int checkId(String name) {
    return name.matches("dax(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)") ? 0 : -Errno.EINVAL;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "is_static")
  private static boolean isStatic(DaxRegion region) {
    return (region.res.flags & DaxRegion.IORESOURCE_DAX_STATIC) != 0;
  }

  /** {@code static_dev_dax()}. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "static_dev_dax")
  static boolean staticDevDax(DevDax devDax) {
    return isStatic(devDax.region);
  }

  /**
   * {@code dev_dax_visible()}: how a file of a device may be used.
   *
   * @param devDax the device
   * @param attr the file's name
   * @param mode its permission bits, as in 0644
   * @return the bits that this device leaves; 0 when it has no such file
   */
  @Kernel(
      file = "drivers/dax/bus.c",
      symbol = "dev_dax_visible",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "All kernels here have CONFIG_NUMA, so numa_node is always there.")
  public static int devDaxVisible(DevDax devDax, String attr, int mode) {
    boolean fixed = isStatic(devDax.region);
    return switch (attr) {
      case "mapping" -> fixed ? 0 : mode;
      case "align", "size" -> fixed ? 0444 : mode;
      case "target_node" -> devDax.targetNode < 0 ? 0 : mode;
      default -> mode;
    };
  }

  /** {@code dev_dax_size()} in bytes. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "dev_dax_size")
  static long devDaxSize(DevDax devDax) {
    long size = 0;
    for (DevDaxRange each : devDax.ranges) {
      size += each.range.len();
    }
    return size;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_bus_probe")
  private int daxBusProbe(DaxDeviceDriver drv, DevDax devDax) {
    if (devDaxSize(devDax) == 0 || devDax.id < 0) {
      return -Errno.ENXIO;
    }
    int rc = drv.probe(devDax);
    if (rc != 0 || staticDevDax(devDax)) {
      return rc;
    }
    if (devDax.region.seed == devDax) {
      devDax.region.seed = null;
    }
    return 0;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_bus_remove")
  private static void daxBusRemove(DaxDeviceDriver drv, DevDax devDax) {
    drv.remove(devDax);
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_bus_match")
  private boolean daxBusMatch(DaxDeviceDriver drv, DevDax devDax) {
    return daxMatchId(drv, devDax) || daxMatchType(drv, devDax);
  }

  @Kernel(file = "drivers/base/dd.c", symbol = "driver_attach")
  private void driverAttach(DaxDeviceDriver drv) {
    for (DevDax devDax : devices()) {
      if (devDax.dev.driver() == null && daxBusMatch(drv, devDax)) {
        reallyProbe(drv, devDax);
      }
    }
  }

  @Kernel(file = "drivers/base/dd.c", symbol = "really_probe")
  private int reallyProbe(DaxDeviceDriver drv, DevDax devDax) {
    devDax.dev.setDriver(drv);
    int ret = daxBusProbe(drv, devDax);
    if (ret != 0) {
      devDax.dev.devresReleaseAll();
      devDax.dev.setDrvdata(null);
      devDax.dev.setDriver(null);
    }
    return ret;
  }

  /**
   * Writes a device name to a driver's {@code bind}.
   *
   * @return 0; -ENODEV when there is no such device or it is not the driver's; -EBUSY when it is
   *     bound; or what the driver's probe returned
   */
  @Kernel(file = "drivers/base/bus.c", symbol = "bind_store")
  public int bindStore(DaxDeviceDriver drv, String name) {
    DevDax devDax = find(name);
    if (devDax == null || !daxBusMatch(drv, devDax)) {
      return -Errno.ENODEV;
    }
    return devDax.dev.driver() != null ? -Errno.EBUSY : reallyProbe(drv, devDax);
  }

  /** Writes a device name to a driver's {@code unbind}: 0, or -ENODEV when it is not bound. */
  @Kernel(file = "drivers/base/bus.c", symbol = "unbind_store")
  public int unbindStore(DaxDeviceDriver drv, String name) {
    DevDax devDax = find(name);
    if (devDax == null || !drv.equals(devDax.dev.driver())) {
      return -Errno.ENODEV;
    }
    deviceReleaseDriver(devDax);
    return 0;
  }

  @Kernel(file = "drivers/base/dd.c", symbol = "device_release_driver")
  private static void deviceReleaseDriver(DevDax devDax) {
    if (devDax.dev.driver() instanceof DaxDeviceDriver drv) {
      daxBusRemove(drv, devDax);
      devDax.dev.devresReleaseAll();
      devDax.dev.setDrvdata(null);
      devDax.dev.setDriver(null);
    }
  }

  /** {@code device_add()}: registers the device and offers it to the drivers. 0 or -ENOMEM. */
  @Kernel(file = "drivers/base/core.c", symbol = "device_add")
  private int deviceAdd(DevDax devDax) {
    if (mm.mayFail("device_add")) {
      return -Errno.ENOMEM;
    }
    devices.add(devDax);
    devDax.dev.setRegistered(true);
    for (DaxDeviceDriver drv : List.copyOf(drivers)) {
      if (devDax.dev.driver() == null && daxBusMatch(drv, devDax)) {
        reallyProbe(drv, devDax);
      }
    }
    return 0;
  }

  @Kernel(file = "drivers/base/core.c", symbol = "device_del")
  private void deviceDel(DevDax devDax) {
    deviceReleaseDriver(devDax);
    devices.remove(devDax);
    devDax.dev.setRegistered(false);
  }

  /** {@code dax_region_avail_size()}: bytes of the region that no device has. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_region_avail_size")
  public long daxRegionAvailSize(DaxRegion region) {
    long size = region.res.size();
    for (Resource res = region.res.child; res != null; res = res.sibling) {
      size -= res.size();
    }
    return size;
  }

  /** Writes 1 to a region's {@code create}: 0, -EINVAL, -ENOSPC when it is full, or -ENOMEM. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "create_store")
  public int createStore(DaxRegion region, int val) {
    if (isStatic(region) || val != 1) {
      return -Errno.EINVAL;
    }
    if (daxRegionAvailSize(region) == 0) {
      return -Errno.ENOSPC;
    }
    Created created = devmCreateDevDax0(new DevDaxData(region, null, 0, -1, false));
    DevDax devDax = created.devDax;
    if (devDax == null) {
      return created.error;
    }
    if (region.seed == null) {
      region.seed = devDax;
    }
    region.youngest = devDax;
    return 0;
  }

  /** {@code kill_dev_dax()}: processes lose their mappings and get no new ones. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "kill_dev_dax")
  void killDevDax(DevDax devDax) {
    devDax.daxDev.killDax();
    new DaxRmap(mm).unmapMappingRange(devDax.daxDev);
    // A dynamic device's pgmap is the driver's and dies with the binding.
    if (!staticDevDax(devDax)) {
      devDax.pgmap = null;
    }
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "trim_dev_dax_range")
  private void trimDevDaxRange(DevDax devDax) {
    Range range = devDax.ranges.getLast().range;
    resources.releaseRegion(devDax.region.res, range.start(), range.len());
    devDax.ranges.removeLast();
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "free_dev_dax_ranges")
  private void freeDevDaxRanges(DevDax devDax) {
    while (!devDax.ranges.isEmpty()) {
      trimDevDaxRange(devDax);
    }
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "unregister_dev_dax")
  private void unregisterDevDax(DevDax devDax) {
    killDevDax(devDax);
    deviceDel(devDax);
    freeDevDaxRanges(devDax);
    devDaxRelease(devDax);
  }

  /** {@code __free_dev_dax_id()}: the id, or -1 when there was none to free. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "__free_dev_dax_id")
  private static int freeDevDaxId0(DevDax devDax) {
    int rc = devDax.id;
    if (!devDax.dynId || devDax.id < 0) {
      return -1;
    }
    devDax.region.ida.clear(devDax.id);
    devDax.id = -1;
    return rc;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "free_dev_dax_id")
  private static void freeDevDaxId(DevDax devDax) {
    freeDevDaxId0(devDax);
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "alloc_dev_dax_id")
  private int allocDevDaxId(DevDax devDax) {
    if (mm.mayFail("ida_alloc")) {
      return -Errno.ENOMEM;
    }
    int id = devDax.region.ida.nextClearBit(0);
    devDax.region.ida.set(id);
    devDax.dynId = true;
    devDax.id = id;
    return id;
  }

  /**
   * Writes a device name to its region's {@code delete}.
   *
   * @return 0; -EINVAL for a static region, -ENXIO for no such device, -EBUSY while it is bound or
   *     has a size, and always for number 0, so that a region never has no device
   */
  @Kernel(file = "drivers/dax/bus.c", symbol = "delete_store")
  public int deleteStore(DaxRegion region, String name) {
    if (isStatic(region)) {
      return -Errno.EINVAL;
    }
    DevDax victim = find(name);
    if (victim == null || victim.region != region) {
      return -Errno.ENXIO;
    }
    if (victim.dev.driver() != null || devDaxSize(victim) != 0 || victim.id <= 0) {
      return -Errno.EBUSY;
    }
    boolean doDel = freeDevDaxId0(victim) >= 0;
    if (region.seed == victim) {
      region.seed = null;
    }
    if (region.youngest == victim) {
      region.youngest = null;
    }
    if (doDel) {
      region.dev.devmReleaseAction(printk, victim);
    }
    return 0;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_region_unregister")
  private void daxRegionUnregister(DaxRegion region) {
    resources.releaseResource(region.res);
    regions.remove(region);
  }

  /**
   * {@code alloc_dax_region()}: makes a region that lives as long as {@code parent} is bound.
   *
   * @param align least alignment of devices, in bytes; range and length must be multiples
   * @return null when misaligned, when it overlaps another region or when memory is short
   */
  @Kernel(file = "drivers/dax/bus.c", symbol = "alloc_dax_region")
  @Nullable DaxRegion allocDaxRegion(
      Device parent, int regionId, Range range, int targetNode, long align, long flags) {
    if (printk.warnOn(
        parent.drvdata() != null, "alloc_dax_region: dax core failed to setup private data")) {
      return null;
    }
    if ((range.start() & (align - 1)) != 0 || (range.len() & (align - 1)) != 0) {
      return null;
    }
    if (mm.mayFail("alloc_dax_region")) {
      return null;
    }
    Resource res = new Resource();
    res.start = range.start();
    res.end = range.end();
    res.flags = Resource.IORESOURCE_MEM | flags;
    DaxRegion region = new DaxRegion(regionId, targetNode, parent, align, res);
    parent.setDrvdata(region);
    if (resources.requestResource(daxRegions, res) != 0) {
      printk.prErr(parent.name() + ": dax_region resource conflict for " + res);
      return null;
    }
    if (mm.mayFail("sysfs_create_groups")) {
      resources.releaseResource(res);
      return null;
    }
    regions.add(region);
    int rc = parent.devmAddActionOrReset(mm, region, () -> daxRegionUnregister(region));
    return rc != 0 ? null : region;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "unregister_dax_mapping")
  private static void unregisterDaxMapping(DevDax devDax, DaxMapping mapping) {
    devDax.ranges.get(mapping.rangeId).mapping = null;
    mapping.rangeId = -1;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "devm_register_dax_mapping")
  private int devmRegisterDaxMapping(DevDax devDax, int rangeId) {
    Device parent = devDax.region.dev;
    if (parent.warnOnce(
        printk, parent.driver() == null, "devm_register_dax_mapping: region disabled")) {
      return -Errno.ENXIO;
    }
    if (mm.mayFail("devm_register_dax_mapping")) {
      return -Errno.ENOMEM;
    }
    if (mm.mayFail("ida_alloc")) {
      return -Errno.ENOMEM;
    }
    DaxMapping mapping = new DaxMapping(rangeId, devDax.nextMappingId++);
    devDax.ranges.get(rangeId).mapping = mapping;
    if (mm.mayFail("device_add")) {
      return -Errno.ENOMEM;
    }
    return parent.devmAddActionOrReset(mm, mapping, () -> unregisterDaxMapping(devDax, mapping));
  }

  /** {@code alloc_dev_dax_range()}: gives the device a range; 0, -EBUSY, -ENOMEM or -ENXIO. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "alloc_dev_dax_range")
  int allocDevDaxRange(DevDax devDax, long start, long size) {
    Resource res = devDax.region.res;
    if (size == 0) {
      // A device of size 0 is a seed: it has a name and waits for a size.
      return devDax.dev.warnOnce(
              printk,
              !devDax.ranges.isEmpty(),
              "alloc_dev_dax_range: 0-size allocation must be first")
          ? -Errno.EBUSY
          : 0;
    }
    Resource alloc = resources.requestRegion(res, start, size, devDax.name(), 0);
    if (alloc == null) {
      return -Errno.ENOMEM;
    }
    if (mm.mayFail("alloc_dev_dax_range")) {
      resources.releaseRegion(res, alloc.start, alloc.size());
      return -Errno.ENOMEM;
    }
    long pgoff = 0;
    for (DevDaxRange each : devDax.ranges) {
      pgoff += mm.model().physPfn(each.range.len());
    }
    devDax.ranges.add(new DevDaxRange(pgoff, new Range(alloc.start, alloc.end)));
    if (!devDax.dev.isRegistered()) {
      return 0;
    }
    int rc = devmRegisterDaxMapping(devDax, devDax.ranges.size() - 1);
    if (rc != 0) {
      trimDevDaxRange(devDax);
    }
    return rc;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "adjust_dev_dax_range")
  int adjustDevDaxRange(DevDax devDax, Resource res, long size) {
    DevDaxRange last = devDax.ranges.getLast();
    long start = last.range.start();
    if (devDax.dev.warnOnce(
        printk, size == 0, "adjust_dev_dax_range: deletion is handled by dev_dax_shrink")) {
      return -Errno.EINVAL;
    }
    int rc = resources.adjustResource(res, start, size);
    if (rc == 0) {
      last.range = new Range(start, start + size - 1);
    }
    return rc;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "alloc_is_aligned")
  private boolean allocIsAligned(DevDax devDax, long size) {
    long align = Math.max(devDax.align, memremap.memremapCompatAlign());
    return (size & (align - 1)) == 0;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dev_dax_shrink")
  private int devDaxShrink(DevDax devDax, long size) {
    long toShrink = devDaxSize(devDax) - size;
    for (int i = devDax.ranges.size() - 1; i >= 0; i--) {
      DevDaxRange each = devDax.ranges.get(i);
      long shrink = Math.min(toShrink, each.range.len());
      if (shrink >= each.range.len()) {
        if (each.mapping != null) {
          devDax.region.dev.devmReleaseAction(printk, each.mapping);
        }
        trimDevDaxRange(devDax);
        toShrink -= shrink;
        if (toShrink == 0) {
          break;
        }
        continue;
      }
      Resource adjust = devDax.region.res.child;
      while (adjust != null
          && !(devDax.name().equals(adjust.name) && adjust.start == each.range.start())) {
        adjust = adjust.sibling;
      }
      if (adjust == null || i != devDax.ranges.size() - 1) {
        devDax.dev.warnOnce(printk, true, "dev_dax_shrink: failed to find matching resource");
        return -Errno.ENXIO;
      }
      return adjustDevDaxRange(devDax, adjust, each.range.len() - shrink);
    }
    return 0;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "adjust_ok")
  private static boolean adjustOk(DevDax devDax, Resource res) {
    if (devDax.ranges.isEmpty() || !devDax.name().equals(res.name)) {
      return false;
    }
    DevDaxRange last = devDax.ranges.getLast();
    if (last.range.start() != res.start || last.range.end() != res.end) {
      return false;
    }
    // Page offsets must stay in ascending order.
    return devDax.ranges.stream().allMatch(each -> each.pgoff <= last.pgoff);
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dev_dax_resize")
  private int devDaxResize(DaxRegion region, DevDax devDax, long size) {
    long devSize = devDaxSize(devDax);
    if (devDax.dev.driver() != null) {
      return -Errno.EBUSY;
    }
    if (size == devSize) {
      return 0;
    }
    if (Long.compareUnsigned(size, devSize) > 0
        && Long.compareUnsigned(size - devSize, daxRegionAvailSize(region)) > 0) {
      return -Errno.ENOSPC;
    }
    if (Long.compareUnsigned(size, devSize) < 0) {
      return devDaxShrink(devDax, size);
    }
    long toAlloc = size - devSize;
    if (devDax.dev.warnOnce(
        printk, !allocIsAligned(devDax, toAlloc), "dev_dax_resize: resize misaligned")) {
      return -Errno.ENXIO;
    }
    while (toAlloc != 0) {
      long alloc = growOnce(region, devDax, toAlloc);
      if (alloc < 0) {
        return (int) alloc;
      }
      toAlloc -= alloc;
    }
    return 0;
  }

  /**
   * One turn of the {@code retry} loop of {@code dev_dax_resize()}: takes the first free space, at
   * most {@code toAlloc} bytes. The bytes taken, or a negative error code.
   */
  private long growOnce(DaxRegion region, DevDax devDax, long toAlloc) {
    Resource regionRes = region.res;
    Resource first = regionRes.child;
    if (first == null) {
      int rc = allocDevDaxRange(devDax, regionRes.start, toAlloc);
      return rc != 0 ? rc : toAlloc;
    }
    if (Long.compareUnsigned(first.start, regionRes.start) > 0) {
      long alloc = Math.min(first.start - regionRes.start, toAlloc);
      int rc = allocDevDaxRange(devDax, regionRes.start, alloc);
      return rc != 0 ? rc : alloc;
    }
    for (Resource res = first; res != null; res = res.sibling) {
      Resource next = res.sibling;
      long gapEnd = next == null ? regionRes.end : next.start - 1;
      long alloc = Math.min(gapEnd - res.end, toAlloc);
      if (alloc == 0) {
        continue;
      }
      int rc =
          adjustOk(devDax, res)
              ? adjustDevDaxRange(devDax, res, res.size() + alloc)
              : allocDevDaxRange(devDax, res.end + 1, alloc);
      return rc != 0 ? rc : alloc;
    }
    return -Errno.ENOSPC;
  }

  /**
   * Writes a device's {@code size}, in bytes.
   *
   * @return 0; -EINVAL when not a multiple of its alignment and of 2 MiB, -ENXIO when the region is
   *     gone, -EBUSY while it is bound, -ENOSPC, -ENOMEM
   */
  @Kernel(file = "drivers/dax/bus.c", symbol = "size_store")
  public int sizeStore(DevDax devDax, long val) {
    if (!allocIsAligned(devDax, val)) {
      return -Errno.EINVAL;
    }
    if (devDax.region.dev.driver() == null) {
      return -Errno.ENXIO;
    }
    return devDaxResize(devDax.region, devDax, val);
  }

  /** Writes {@code start-end} to a device's {@code mapping}; a misaligned range is ignored. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "mapping_store")
  public int mappingStore(DevDax devDax, long start, long end) {
    if (devDax.region.dev.driver() == null) {
      return 0;
    }
    long toAlloc = end - start + 1;
    return allocIsAligned(devDax, toAlloc) ? allocDevDaxRange(devDax, start, toAlloc) : 0;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dev_dax_validate_align")
  private int devDaxValidateAlign(DevDax devDax) {
    for (DevDaxRange each : devDax.ranges) {
      if (!allocIsAligned(devDax, each.range.len())) {
        return -Errno.EINVAL;
      }
    }
    return 0;
  }

  /** {@code dax_align_valid()}: a page size that a process can have. */
  @Kernel(file = "drivers/dax/dax-private.h", symbol = "dax_align_valid")
  private boolean daxAlignValid(long align) {
    return (align == mm.pgtable().pudSize() && thp.pud)
        || (align == mm.pgtable().pmdSize() && thp.pmd)
        || align == mm.model().pageSize();
  }

  /**
   * Writes a device's {@code align}, in bytes.
   *
   * @return 0; -EINVAL when no such page size exists or a range is no multiple, -ENXIO when the
   *     region is gone, -EBUSY while it is bound
   */
  @Kernel(file = "drivers/dax/bus.c", symbol = "align_store")
  public int alignStore(DevDax devDax, long val) {
    if (!daxAlignValid(val)) {
      return -Errno.EINVAL;
    }
    if (devDax.region.dev.driver() == null) {
      return -Errno.ENXIO;
    }
    if (devDax.dev.driver() != null) {
      return -Errno.EBUSY;
    }
    long alignSave = devDax.align;
    devDax.align = val;
    int rc = devDaxValidateAlign(devDax);
    if (rc != 0) {
      devDax.align = alignSave;
    }
    return rc;
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "dev_dax_release")
  private void devDaxRelease(DevDax devDax) {
    slab.kfree(devDax.daxDev.mapping());
    freeDevDaxId(devDax);
    kfreePgmap(devDax);
  }

  private void kfreePgmap(DevDax devDax) {
    if (devDax.pgmapKmemdup != 0) {
      slab.kfree(devDax.pgmapKmemdup);
      devDax.pgmapKmemdup = 0;
      devDax.pgmap = null;
    }
  }

  /**
   * {@code dax_pgoff_to_phys()}: physical address of page {@code pgoff}; -1 when not all is there.
   */
  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_pgoff_to_phys")
  long daxPgoffToPhys(DevDax devDax, long pgoff, long size) {
    for (DevDaxRange each : devDax.ranges) {
      long pages = mm.model().physPfn(each.range.len());
      if (pgoff < each.pgoff || pgoff >= each.pgoff + pages) {
        continue;
      }
      long phys = mm.model().pfnPhys(pgoff - each.pgoff) + each.range.start();
      return phys + size - 1 <= each.range.end() ? phys : -1;
    }
    return -1;
  }

  /** A device or the error that came instead. */
  record Created(@Nullable DevDax devDax, int error) {}

  private static Created failed(int rc) {
    return new Created(null, rc);
  }

  @Kernel(file = "drivers/dax/bus.c", symbol = "__devm_create_dev_dax")
  private Created devmCreateDevDax0(DevDaxData data) {
    DaxRegion region = data.region;
    if (mm.mayFail("__devm_create_dev_dax")) {
      return failed(-Errno.ENOMEM);
    }
    DevDax devDax = new DevDax(region);
    int rc = giveId(devDax, data);
    if (rc < 0) {
      return failed(rc);
    }
    String name = "dax%d.%d".formatted(region.id, devDax.id);
    devDax.dev = new Device(name, region.dev.numaNode());
    rc = allocDevDaxRange(devDax, region.res.start, data.size);
    if (rc != 0) {
      freeDevDaxId(devDax);
      return failed(rc);
    }
    rc = kmemdupPgmap(devDax, data);
    if (rc == 0) {
      rc = allocDax(devDax);
    }
    if (rc != 0) {
      kfreePgmap(devDax);
      freeDevDaxRanges(devDax);
      freeDevDaxId(devDax);
      return failed(rc);
    }
    devDax.targetNode = region.targetNode;
    devDax.align = region.align;
    devDax.memmapOnMemory = data.memmapOnMemory;
    return register(devDax);
  }

  /** The end of {@code __devm_create_dev_dax()}: from device_add() on. */
  private Created register(DevDax devDax) {
    int rc = deviceAdd(devDax);
    if (rc != 0) {
      killDevDax(devDax);
      devDaxRelease(devDax);
      return failed(rc);
    }
    rc = devDax.region.dev.devmAddActionOrReset(mm, devDax, () -> unregisterDevDax(devDax));
    if (rc != 0) {
      return failed(rc);
    }
    if (!devDax.ranges.isEmpty() && devDax.ranges.get(0).range.len() != 0) {
      rc = devmRegisterDaxMapping(devDax, 0);
      if (rc != 0) {
        return failed(rc);
      }
    }
    return new Created(devDax, 0);
  }

  private int giveId(DevDax devDax, DevDaxData data) {
    Device parent = devDax.region.dev;
    if (isStatic(devDax.region)) {
      if (parent.warnOnce(
          printk,
          data.id < 0,
          "__devm_create_dev_dax: dynamic id specified to static region")) {
        return -Errno.EINVAL;
      }
      devDax.id = data.id;
      return 0;
    }
    if (parent.warnOnce(
        printk, data.id >= 0, "__devm_create_dev_dax: static id specified to dynamic region")) {
      return -Errno.EINVAL;
    }
    return allocDevDaxId(devDax);
  }

  /** {@code kmemdup(data->pgmap)}: the device gets a copy at an address of its own. */
  private int kmemdupPgmap(DevDax devDax, DevDaxData data) {
    DevPagemap from = data.pgmap;
    if (from == null) {
      return 0;
    }
    devDax.region.dev.warnOnce(
        printk,
        !isStatic(devDax.region),
        "__devm_create_dev_dax: custom dev_pagemap requires a static dax_region");
    long va = slab.kzalloc(SIZEOF_DEV_PAGEMAP, devDax.dev.numaNode(), "kmemdup");
    if (va == 0) {
      return -Errno.ENOMEM;
    }
    DevPagemap pgmap = new DevPagemap(va);
    pgmap.type = from.type;
    pgmap.vmemmapShift = from.vmemmapShift;
    pgmap.nrRange = from.nrRange;
    pgmap.ranges = from.ranges.clone();
    pgmap.altmapValid = from.altmapValid;
    pgmap.altmap.basePfn = from.altmap.basePfn;
    pgmap.altmap.endPfn = from.altmap.endPfn;
    pgmap.altmap.reserve = from.altmap.reserve;
    pgmap.altmap.free = from.altmap.free;
    pgmap.altmap.align = from.altmap.align;
    pgmap.altmap.alloc = from.altmap.alloc;
    devDax.pgmapKmemdup = va;
    devDax.pgmap = pgmap;
    return 0;
  }

  /** {@code alloc_dax()}, and {@code kill_dax()}: a device is dead until a driver is bound. */
  @Kernel(file = "drivers/dax/super.c", symbol = "alloc_dax")
  private int allocDax(DevDax devDax) {
    long va = slab.kzalloc(SIZEOF_ADDRESS_SPACE, devDax.dev.numaNode(), "alloc_dax");
    if (va == 0) {
      return -Errno.ENOMEM;
    }
    devDax.daxDev = new DaxDevice(va);
    devDax.daxDev.killDax();
    return 0;
  }

  /** {@code devm_create_dev_dax()}: makes a device that lives as long as its region's is bound. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "devm_create_dev_dax")
  Created devmCreateDevDax(DevDaxData data) {
    return devmCreateDevDax0(data);
  }

  /** {@code __dax_driver_register()}: the driver gets all devices of its type that are free. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "__dax_driver_register")
  public void daxDriverRegister(DaxDeviceDriver drv) {
    if (drivers.contains(drv)) {
      throw new KernelBug("driver_register: driver is already registered: " + drv.name());
    }
    drivers.add(drv);
    driverAttach(drv);
  }

  /** {@code dax_driver_unregister()}: forgets its ids and unbinds all its devices. */
  @Kernel(file = "drivers/dax/bus.c", symbol = "dax_driver_unregister")
  public void daxDriverUnregister(DaxDeviceDriver drv) {
    ids.remove(drv);
    for (DevDax devDax : devices()) {
      if (drv.equals(devDax.dev.driver())) {
        deviceReleaseDriver(devDax);
      }
    }
    drivers.remove(drv);
  }
}
