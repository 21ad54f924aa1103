// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongUnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.Bus.ThpSizes;
import org.vmemmap.dax.NvdimmE820.NdRegion;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.MemoryType;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.VmemAltmap;

/**
 * What an administrator does with device memory: the drivers loaded, and the writes to sysfs that
 * daxctl and ndctl make.
 *
 * <pre>
 *   bind(dax0.0, hmem)   echo 0 > size; echo dax0.0 > new_id; echo ALIGN > align;
 *                        echo SIZE > size; echo dax0.0 > bind
 *   bind(dax0.0, pmem)   a new DAX device of the namespace: mode, align, uuid, namespace; probe it
 *   unbind(dax0.0)       echo dax0.0 > unbind
 * </pre>
 *
 * Results are 0 or the negative error code of the first write that failed.
 */
public final class DaxBus {
  private static final String CONFLICTING_USE = "a device of this name is mapped";

  private final Mm mm;
  private final Memremap memremap;
  private final Bus bus;
  private final DeviceDax deviceDax;
  private final HmemDevice hmemDevice;
  private final Hmem hmem;
  private final NvdimmE820 nvdimmE820;
  private final OfPmem ofPmem;
  private final Memregion memregion;
  private final PfnDevs pfnDevs;
  private final DaxPmem daxPmem;
  private final Map<String, NdPfn> ndDax = new HashMap<>();
  private final Map<String, Device> given = new HashMap<>();
  private final Map<String, Plain> plain = new LinkedHashMap<>();
  private long nextUuid = 1;
  private final IomemResource iomem;
  private @Nullable Kmem kmem;

  /** Where a device comes from. */
  public enum Source {
    /** Soft-reserved memory. */
    HMEM,
    /** Legacy e820 persistent memory. */
    PMEM
  }

  /** Where the memmap of persistent memory goes. */
  public enum MapTo {
    /** RAM. */
    MEM,
    /** The device itself. */
    DEV
  }

  /**
   * An altmap as the captured cases give one; its last pfn is that of the range.
   *
   * @param basePfn first pfn of the device
   * @param reservePages pages at the start that are not to be used
   * @param freePages pages set aside for the memmap
   */
  public record Altmap(long basePfn, long reservePages, long freePages) {}

  /**
   * Device memory that has struct pages now.
   *
   * @param device name of the device, or the one given to {@link #memremap}
   * @param pgmap its ranges, altmap and order of compound pages
   * @param dataPfn first page of its data: behind the altmap and the info block
   * @param dataPages pages of data
   */
  public record Bound(String device, DevPagemap pgmap, long dataPfn, long dataPages) {}

  /** A range mapped by {@link #memremap}: the address of its pgmap stays the same for each name. */
  private static final class Plain {
    final long va;

    /** What memremap_pages() was called with last; a failed call leaves it as it got to. */
    @Nullable DevPagemap last;

    /** The same as long as it is mapped. */
    @Nullable DevPagemap pgmap;

    Plain(long va) {
      this.va = va;
    }
  }

  /**
   * Loads the drivers; no device exists yet.
   *
   * @param physToTargetNode node of a physical address
   * @param thp page sizes above the base page that a process can have
   */
  public DaxBus(
      Mm mm,
      PageAlloc pageAlloc,
      Slab slab,
      MmInit mmInit,
      MemoryHotplug hotplug,
      IomemResource iomem,
      LongUnaryOperator physToTargetNode,
      ThpSizes thp) {
    this.mm = mm;
    this.iomem = iomem;
    this.memremap = new Memremap(mm, pageAlloc, mmInit, hotplug, iomem);
    this.bus = new Bus(mm, slab, iomem, memremap, thp);
    this.deviceDax = new DeviceDax(mm, slab, iomem, memremap, bus);
    this.memregion = new Memregion(mm);
    this.hmemDevice = new HmemDevice(mm, iomem, physToTargetNode);
    this.hmem = new Hmem(mm, iomem, hmemDevice, bus, memregion);
    this.nvdimmE820 = new NvdimmE820(mm, iomem, memregion, physToTargetNode);
    this.ofPmem = new OfPmem(mm, iomem, memregion);
    this.pfnDevs = new PfnDevs(mm, memremap, thp);
    this.daxPmem = new DaxPmem(mm, iomem, pfnDevs, bus);
    hotplug.setDevPagemapLookup(memremap);
    mm.mmzone().setDevicePfns(memremap::belongsToDevice);
    bus.daxDriverRegister(deviceDax);
  }

  /** The struct pages of devices. */
  public Memremap memremap() {
    return memremap;
  }

  /** Regions, devices and their files. */
  public Bus bus() {
    return bus;
  }

  /** The driver of device DAX. */
  public DaxDeviceDriver deviceDax() {
    return deviceDax;
  }

  /** Makes a region and a device of each soft-reserved range; 0 or -ENOMEM. Once, after boot. */
  public int registerHmem() {
    int rc = hmemDevice.hmemInit();
    return rc != 0 ? rc : hmem.daxHmemInit();
  }

  /**
   * Makes a namespace of each range of legacy persistent memory. Once, after boot.
   *
   * @return 0; -ENXIO when memory is short, -EINVAL when there is no such range
   */
  public int registerPmem() {
    return nvdimmE820.e820PmemProbe();
  }

  /**
   * Makes a namespace of a range that firmware other than e820 names. Its device is {@code daxN.0},
   * with N counted over all regions.
   *
   * @return 0, or -ENXIO when memory is short
   */
  public int registerNamespace(long start, long size, int node) {
    return ofPmem.ofPmemRegionProbe(start, size, node);
  }

  private List<NdRegion> namespaceRegions() {
    List<NdRegion> all = new ArrayList<>(nvdimmE820.regions());
    all.addAll(ofPmem.regions());
    return all;
  }

  /**
   * Binds device DAX to memory whose driver brings its own pgmap, as a namespace does, but with an
   * altmap of its choice.
   *
   * @param device name; a new one gets the next region number, whatever its name says
   * @param data its data
   * @param align page size in bytes
   * @param mapped what gets struct pages; holds the data
   * @param altmap where these go; null for RAM
   * @param node node of the memory
   * @return 0 or the error of the driver; -EBUSY when it is bound
   */
  public int bindGiven(
      String device, Range data, long align, Range mapped, @Nullable Altmap altmap, int node) {
    DevDax old = given.containsKey(device) ? bus.find(device) : null;
    if (old != null && old.bound()) {
      return -Errno.EBUSY;
    }
    Device parent = given.remove(device);
    if (parent != null) {
      parent.devresReleaseAll();
    }
    int id = memregion.memregionAlloc();
    if (id < 0) {
      return id;
    }
    Device fresh = new Device("given." + id, node);
    DaxRegion region = makeRegion(fresh, id, data, align, DaxRegion.IORESOURCE_DAX_STATIC);
    if (region == null) {
      return -Errno.ENOMEM;
    }
    given.put(device, fresh);
    DevPagemap pgmap = new DevPagemap(0);
    fill(pgmap, mapped, altmap);
    int rc = bus.devmCreateDevDax(new Bus.DevDaxData(region, pgmap, data.len(), 0, false)).error();
    DevDax made = bus.find(device);
    return rc != 0 || (made != null && made.bound()) ? rc : bus.bindStore(deviceDax, device);
  }

  /** A region that goes with its device, and gives its number back; null when memory is short. */
  private @Nullable DaxRegion makeRegion(
      Device parent, int id, Range range, long align, long flags) {
    parent.setDriver(this);
    DaxRegion region = bus.allocDaxRegion(parent, id, range, parent.numaNode(), align, flags);
    if (region == null) {
      memregion.memregionFree(id);
      return null;
    }
    if (parent.devmAddActionOrReset(mm, id, () -> memregion.memregionFree(id)) != 0) {
      parent.devresReleaseAll();
      return null;
    }
    return region;
  }

  private void fill(DevPagemap pgmap, Range range, @Nullable Altmap altmap) {
    pgmap.nrRange = 1;
    pgmap.ranges = new Range[] {range};
    if (altmap != null) {
      pgmap.altmapValid = true;
      pgmap.altmap.basePfn = altmap.basePfn;
      pgmap.altmap.endPfn = mm.model().physPfn(range.end());
      pgmap.altmap.reserve = altmap.reservePages;
      pgmap.altmap.free = altmap.freePages;
    }
  }

  /**
   * Binds device DAX to a device with a new size and page size.
   *
   * @param device name, as in {@code dax0.0}
   * @param start first byte of the data; of a PMEM device any address in its namespace
   * @param size bytes of data; a PMEM device has what its namespace leaves
   * @param align page size in bytes
   * @param map for PMEM devices
   * @return 0; -ENODEV for no such device, -EINVAL, -ENOSPC, -EBUSY, -ENOMEM, -EOPNOTSUPP, -ENXIO
   */
  public int bind(
      String device, Source source, long start, long size, long align, MapTo map) {
    return source == Source.HMEM
        ? bindHmem(device, start, size, align)
        : bindPmem(device, start, align, map);
  }

  private int bindHmem(String device, long start, long size, long align) {
    DevDax devDax = bus.find(device);
    if (devDax == null) {
      int rc = createDevice(device, start);
      if (rc != 0) {
        return rc;
      }
      devDax = bus.find(device);
    }
    if (devDax == null || !inside(devDax.region(), start)) {
      return -Errno.ENODEV;
    }
    int rc = resize(devDax, start, size, align);
    return rc != 0 ? rc : bus.bindStore(deviceDax, device);
  }

  /** Writes {@code create} of the region around {@code start} until the device exists. */
  private int createDevice(String device, long start) {
    for (DaxRegion region : bus.regions()) {
      if (!inside(region, start)) {
        continue;
      }
      int rc = 0;
      int known = bus.devices().size();
      while (rc == 0 && bus.find(device) == null && bus.devices().size() - known < 64) {
        rc = bus.createStore(region, 1);
      }
      return rc;
    }
    return -Errno.ENODEV;
  }

  private static boolean inside(DaxRegion region, long start) {
    return start - region.start() >= 0 && start - region.start() < region.size();
  }

  private int resize(DevDax devDax, long start, long size, long align) {
    int rc = bus.sizeStore(devDax, 0);
    if (rc == 0 && !bus.hasId(deviceDax, devDax.name())) {
      // Without a size the probe that this starts is refused at once.
      rc = bus.newIdStore(deviceDax, devDax.name());
    }
    if (rc == 0) {
      rc = bus.alignStore(devDax, align);
    }
    if (rc == 0) {
      rc = bus.sizeStore(devDax, size);
    }
    if (rc == 0 && !devDax.ranges().isEmpty() && devDax.ranges().get(0).start() != start) {
      rc = bus.sizeStore(devDax, 0);
      if (rc == 0) {
        rc = bus.mappingStore(devDax, start, start + size - 1);
      }
    }
    return rc;
  }

  private int bindPmem(String device, long start, long align, MapTo map) {
    DevDax old = bus.find(device);
    boolean busy = old != null && old.bound();
    for (NdRegion region : namespaceRegions()) {
      NdNamespaceIo ndns = region.ndns();
      boolean inside = start - ndns.res().start >= 0 && start <= ndns.res().end;
      if (inside && device.equals("dax%d.0".formatted(region.id()))) {
        return busy ? -Errno.EBUSY : createNdDax(device, region, align, map);
      }
    }
    return -Errno.ENODEV;
  }

  /** {@code ndctl create-namespace -f -m devdax}: the old device of the namespace goes first. */
  private int createNdDax(String device, NdRegion region, long align, MapTo map) {
    destroyNdDax(device, region);
    NdPfn ndPfn = pfnDevs.ndPfnDevinit(new NdPfn(new Device(device, region.numaNode()), true));
    NdPfn.Mode mode = map == MapTo.DEV ? NdPfn.Mode.PFN_MODE_PMEM : NdPfn.Mode.PFN_MODE_RAM;
    int rc = pfnDevs.modeStore(ndPfn, mode);
    if (rc == 0) {
      rc = alignNdDax(ndPfn, align);
    }
    if (rc == 0) {
      rc = pfnDevs.uuidStore(ndPfn, new NdUuid(nextUuid++, region.id()));
    }
    if (rc == 0) {
      rc = pfnDevs.namespaceStore(ndPfn, region.ndns());
    }
    if (rc != 0) {
      return rc;
    }
    ndDax.put(device, ndPfn);
    rc = daxPmem.daxPmemProbe(ndPfn, region);
    if (rc != 0) {
      destroyNdDax(device, region);
      return rc;
    }
    DevDax devDax = bus.find(device);
    boolean bound = devDax != null && devDax.bound();
    // The driver was offered the device when it appeared; a second try tells why it refused.
    return bound ? 0 : bus.bindStore(deviceDax, device);
  }

  /**
   * Gives the namespace its alignment. By align_store() a size that no process can have as a leaf is
   * refused. One captured kernel had such a namespace all the same (16 MiB with hash and 4K pages,
   * with libnvdimm built out of tree), and how it got there is not known from the source. So what
   * its data must be aligned to anyhow, memremap_compat_align(), is taken as given here: a rule of
   * the bench, inferred from that capture, and not of the kernel.
   */
  private int alignNdDax(NdPfn ndPfn, long align) {
    if (align == memremap.memremapCompatAlign()) {
      ndPfn.align = align;
      return 0;
    }
    return pfnDevs.alignStore(ndPfn, align);
  }

  private void destroyNdDax(String device, NdRegion region) {
    NdPfn ndPfn = ndDax.remove(device);
    if (ndPfn != null) {
      daxPmem.remove(ndPfn);
      region.ndns().claim = null;
    }
  }

  /**
   * Makes System RAM of device memory: loads the driver, makes a device of memory that has none,
   * gives one of another size this one, binds it.
   *
   * @param start first byte
   * @param size bytes
   * @param node node of the memory, used when there is no device yet
   * @param memmapOnMemory what is written to the device's file of this name
   * @return 0, or the error of the driver or of the file {@code size}
   */
  public int bindKmem(
      HotplugSystem hotplug, long start, long size, int node, boolean memmapOnMemory) {
    DevDax old = deviceAt(start);
    if (old != null && old.bound()) {
      return -Errno.EBUSY;
    }
    int rc = old != null ? 0 : makeDevice(start, size, node, memmapOnMemory);
    DevDax devDax = deviceAt(start);
    if (rc != 0 || devDax == null) {
      return rc != 0 ? rc : -Errno.ENODEV;
    }
    if (devDax.bound()) {
      // The driver was there before, so it was offered the device when it appeared.
      return 0;
    }
    rc = fit(devDax, size);
    if (rc != 0) {
      return rc;
    }
    devDax.memmapOnMemory = memmapOnMemory;
    if (kmem == null) {
      kmem = new Kmem(mm, iomem, hotplug);
      // Loading the driver offers it all devices that are its by default.
      bus.daxDriverRegister(kmem);
    }
    if (!bus.hasId(kmem, devDax.name()) && !devDax.bound()) {
      rc = bus.newIdStore(kmem, devDax.name());
    }
    return devDax.bound() ? 0 : bus.bindStore(kmem, devDax.name());
  }

  /** Gives the device another size, at its first free place; a size that it has stays. */
  private int fit(DevDax devDax, long size) {
    if (Bus.devDaxSize(devDax) == size) {
      return 0;
    }
    int rc = bus.sizeStore(devDax, 0);
    return rc != 0 ? rc : bus.sizeStore(devDax, size);
  }

  private @Nullable DevDax deviceAt(long start) {
    for (DevDax devDax : bus.devices()) {
      if (!devDax.ranges().isEmpty() && devDax.ranges().getFirst().start() == start) {
        return devDax;
      }
    }
    return null;
  }

  /** A region of one device, as a helper module makes it; without the device there is none. */
  private int makeDevice(long start, long size, int node, boolean memmapOnMemory) {
    int id = memregion.memregionAlloc();
    if (id < 0) {
      return id;
    }
    Device parent = new Device("given." + id, node);
    Range range = new Range(start, start + size - 1);
    DaxRegion region =
        makeRegion(parent, id, range, Mmzone.SUBSECTION_SIZE, DaxRegion.IORESOURCE_DAX_KMEM);
    if (region == null) {
      return -Errno.ENOMEM;
    }
    int rc =
        bus.devmCreateDevDax(new Bus.DevDaxData(region, null, size, -1, memmapOnMemory)).error();
    if (rc != 0) {
      parent.devresReleaseAll();
    }
    return rc;
  }

  /** Unbinds the driver that makes System RAM; memory that is online stays. 0 or -ENODEV. */
  public int unbindKmem(long start) {
    DevDax devDax = deviceAt(start);
    return kmem == null || devDax == null
        ? -Errno.ENODEV
        : bus.unbindStore(kmem, devDax.name());
  }

  /** {@code cat daxX.Y/state} of a device that is System RAM; null for any other. */
  public @Nullable String kmemState(String device) {
    DevDax devDax = bus.find(device);
    return kmem == null || devDax == null ? null : kmem.stateShow(devDax);
  }

  /** {@code echo value > daxX.Y/state}: 0 or a negative error code. */
  public int writeKmemState(String device, String value) {
    DevDax devDax = bus.find(device);
    return kmem == null || devDax == null ? -Errno.ENOENT : kmem.stateStore(devDax, value);
  }

  /** Unbinds device DAX; 0, or -ENODEV when it is not bound. */
  public int unbind(String device) {
    return bus.unbindStore(deviceDax, device);
  }

  /** The info block of a PMEM device; null when it has none. */
  public @Nullable NdPfnSb infoBlock(String device) {
    NdPfn ndPfn = ndDax.get(device);
    return ndPfn == null ? null : ndPfn.pfnSb();
  }

  /**
   * {@code memremap_pages()} of one range, as a driver without a device would call it.
   *
   * @param device any name; it stands for the caller's pgmap
   * @param start first byte
   * @param size in bytes
   * @param vmemmapShift order of the compound pages, 0 for none
   * @param altmap where the memmap goes; null for RAM
   * @param node node of the memory
   * @return 0, -EBUSY when {@code device} is mapped, or what memremap_pages returned
   */
  public int memremap(
      String device, long start, long size, int vmemmapShift, @Nullable Altmap altmap, int node) {
    Plain caller =
        plain.computeIfAbsent(
            device, any -> new Plain(mm.data().alloc((int) Bus.SIZEOF_DEV_PAGEMAP)));
    if (caller.pgmap != null) {
      mm.printk().prErr(device + ": " + CONFLICTING_USE);
      return -Errno.EBUSY;
    }
    DevPagemap pgmap = new DevPagemap(caller.va);
    pgmap.type = MemoryType.MEMORY_DEVICE_GENERIC;
    pgmap.vmemmapShift = vmemmapShift;
    fill(pgmap, new Range(start, start + size - 1), altmap);
    caller.last = pgmap;
    long addr = memremap.memremapPages(pgmap, node);
    if (new Page(addr).isErr()) {
      return (int) addr;
    }
    caller.pgmap = pgmap;
    return 0;
  }

  /** The altmap that {@link #memremap} was called with last, mapped or not; null for none. */
  public @Nullable VmemAltmap lastAltmap(String device) {
    Plain caller = plain.get(device);
    DevPagemap last = caller == null ? null : caller.last;
    return last == null || !last.altmapValid ? null : last.altmap;
  }

  /**
   * {@code memunmap_pages()} of what {@link #memremap} made; 0, or -ENODEV when there is nothing.
   */
  public int memunmap(String device) {
    Plain caller = plain.get(device);
    DevPagemap pgmap = caller == null ? null : caller.pgmap;
    if (caller == null || pgmap == null) {
      return -Errno.ENODEV;
    }
    // If this crashes, the range stays mapped as far as it was.
    memremap.memunmapPages(pgmap);
    caller.pgmap = null;
    return 0;
  }

  /**
   * A process maps the first page of a device, of the device's page size, and writes to it.
   *
   * @return 0; -ENODEV for no such device, -ENXIO when it is not bound, -EFAULT (SIGBUS) when the
   *     device is smaller than its page
   */
  public int mapDevice(String device) {
    DevDax devDax = bus.find(device);
    if (devDax == null) {
      return -Errno.ENODEV;
    }
    int rc = deviceDax.checkVma(devDax, 0, devDax.align(), true);
    if (rc != 0) {
      return rc;
    }
    DeviceDax.VmFault fault =
        deviceDax.devDaxHugeFault(devDax, 0, 0, deviceDax.orderOf(devDax));
    return fault == DeviceDax.VmFault.VM_FAULT_NOPAGE ? 0 : -Errno.EFAULT;
  }

  /** The processes that mapped the device end; 0, or -ENODEV for no such device. */
  public int unmapDevice(String device) {
    DevDax devDax = bus.find(device);
    if (devDax == null) {
      return -Errno.ENODEV;
    }
    new DaxRmap(mm).unmapMappingRange(devDax.daxDev);
    return 0;
  }

  /** All device memory that has struct pages now: devices first, then plain ranges. */
  public List<Bound> bound() {
    Stream<Bound> devices =
        bus.devices().stream().filter(DevDax::bound).flatMap(each -> describe(each).stream());
    Stream<Bound> ranges =
        plain.entrySet().stream()
            .flatMap(
                each -> {
                  DevPagemap pgmap = each.getValue().pgmap;
                  return pgmap == null ? Stream.empty() : Stream.of(describe(each.getKey(), pgmap));
                });
    return Stream.concat(devices, ranges).toList();
  }

  /** The struct pages of a device or plain range; null when it has none now. */
  public @Nullable Bound bound(String device) {
    return bound().stream().filter(each -> each.device.equals(device)).findFirst().orElse(null);
  }

  private List<Bound> describe(DevDax devDax) {
    DevPagemap pgmap = devDax.pgmap();
    if (pgmap == null) {
      return List.of();
    }
    Range first = devDax.ranges().get(0);
    long pages = mm.model().physPfn(Bus.devDaxSize(devDax));
    return List.of(
        new Bound(devDax.name(), pgmap, mm.model().physPfn(first.start()), pages));
  }

  private Bound describe(String name, DevPagemap pgmap) {
    Range range = pgmap.ranges[0];
    long skip =
        pgmap.altmapValid ? pgmap.altmap.reserve + pgmap.altmap.free : 0;
    return new Bound(
        name,
        pgmap,
        mm.model().physPfn(range.start()) + skip,
        mm.model().physPfn(range.len()) - skip);
  }
}
