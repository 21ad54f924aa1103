// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.dax.DeviceDax.VmFault.VM_FAULT_FALLBACK;
import static org.vmemmap.dax.DeviceDax.VmFault.VM_FAULT_NOPAGE;
import static org.vmemmap.dax.DeviceDax.VmFault.VM_FAULT_SIGBUS;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.dax.DaxBus.MapTo;
import org.vmemmap.dax.DaxBus.Source;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Resource;
import org.vmemmap.types.StructPage;

/** The driver of device DAX: binding, what a failure undoes, faults; and who makes its devices. */
class DeviceDaxTest {
  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final String DAX = "dax0.0";
  private static final int PMD_ORDER = 9;
  private static final int PUD_ORDER = 18;

  private final DaxMachine m = new DaxMachine().boot().withSoftReserved(GIB, 512 * MIB);
  private final DeviceDax driver = (DeviceDax) m.dax.deviceDax();

  private DevDax bound(long size, long align) {
    assertEquals(0, m.dax.registerHmem());
    assertEquals(0, m.dax.bind(DAX, Source.HMEM, GIB, size, align, MapTo.MEM));
    return m.devDax(DAX);
  }

  /**
   * An allocation of the probe fails.
   *
   * <p>Expect -ENOMEM (or -EBUSY for the claim), no struct pages, no claim, and no frame booked.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "devm_kmalloc",
        "__devm_request_region",
        "percpu_ref_init",
        "xa_store_range",
        "pfnmap_track",
        "cdev_add",
        "__devm_add_action"
      })
  void probe_allocationFails_undone(String site) {
    assertEquals(0, m.dax.registerHmem());
    DevDax devDax = m.devDax(DAX);
    assertEquals(0, m.dax.bus().sizeStore(devDax, 2 * MIB));
    assertEquals(0, m.dax.bus().newIdStore(new Ignored(), DAX));
    Map<String, Long> before = m.frames();
    String iomem = m.iomem.show();
    m.failNth(1, site);

    int rc = m.dax.bus().newIdStore(driver, DAX);

    assertEquals(0, rc);
    assertEquals(1, m.machine.faults().failed());
    assertFalse(devDax.bound());
    assertEquals(before, m.frames());
    assertEquals(iomem, m.iomem.show());
    assertNull(m.dax.memremap().getDevPagemap(GIB / 4096));
  }

  private static final class Ignored implements DaxDeviceDriver {
    @Override
    public String name() {
      return "ignored";
    }

    @Override
    public Type type() {
      return Type.DAXDRV_FSDEV_TYPE;
    }

    @Override
    public int probe(DevDax devDax) {
      return -Errno.ENODEV;
    }
  }

  /** Each of the three notes for the unbinding fails. Expect the same. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void probe_actionFails_undone(int nth) {
    assertEquals(0, m.dax.registerHmem());
    assertEquals(0, m.dax.bus().sizeStore(m.devDax(DAX), 2 * MIB));
    m.failNth(nth, "__devm_add_action");
    assertEquals(0, m.dax.bus().newIdStore(driver, DAX));
    assertFalse(m.devDax(DAX).bound());
    assertEquals(0, m.owned(Owner.DEVICE));
    assertFalse(m.devDax(DAX).daxDev.daxAlive());
  }

  /** A static device with two ranges. Expect -EINVAL and the message. */
  @Test
  void probe_staticTwoRanges_einval() {
    DaxMachine p = new DaxMachine().boot().withPmem(GIB, 384 * MIB);
    assertEquals(0, p.dax.registerPmem());
    assertEquals(0, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));
    DevDax devDax = p.devDax(DAX);
    assertEquals(0, p.dax.unbind(DAX));
    devDax.ranges.add(new DevDax.DevDaxRange(0, new Range(4 * GIB, 5 * GIB - 1)));

    assertEquals(-Errno.EINVAL, p.dax.deviceDax().probe(devDax));
    assertTrue(p.log().contains("dax0.0: static pgmap / multi-range device conflict"));
  }

  /** A static device keeps its pgmap over unbind and bind. Expect the same one. */
  @Test
  void probe_staticAgain_samePgmap() {
    DaxMachine p = new DaxMachine().boot().withPmem(GIB, 384 * MIB);
    assertEquals(0, p.dax.registerPmem());
    assertEquals(0, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.DEV));
    Object pgmap = p.pgmap(DAX);
    assertEquals(0, p.dax.unbind(DAX));
    assertEquals(0, p.dax.bus().bindStore(p.dax.deviceDax(), DAX));
    assertSame(pgmap, p.pgmap(DAX));
    assertTrue(p.warnings().isEmpty());
  }

  // ---- faults ----

  /** Mappings that device DAX refuses. Expect -EINVAL, and -ENXIO once unbound. */
  @Test
  void checkVma_refusals() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);
    assertEquals(0, driver.checkVma(devDax, 0, 2 * MIB, true));
    assertEquals(-Errno.EINVAL, driver.checkVma(devDax, 0, 2 * MIB, false));
    assertEquals(-Errno.EINVAL, driver.checkVma(devDax, 4 * KIB, 2 * MIB, true));
    assertEquals(-Errno.EINVAL, driver.checkVma(devDax, 0, 3 * MIB, true));
    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(-Errno.ENXIO, driver.checkVma(devDax, 0, 2 * MIB, true));
  }

  /** Faults of every size on a device of 2 MiB pages. Expect only that size to be served. */
  @Test
  void fault_otherSizes_refused() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);
    assertEquals(VM_FAULT_SIGBUS, driver.devDaxHugeFault(devDax, 0, 0, 0));
    assertEquals(VM_FAULT_FALLBACK, driver.devDaxHugeFault(devDax, 0, 0, PUD_ORDER));
    assertEquals(VM_FAULT_SIGBUS, driver.devDaxHugeFault(devDax, 0, 0, 5));
    assertEquals(VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 2 * MIB, 512, PMD_ORDER));
    assertEquals(2, m.refcount(GIB + 2 * MIB));
    assertEquals(512, m.mm.struct().word(m.page(GIB + 2 * MIB), 32));
  }

  /** A fault behind the end, and one of a dead device. Expect SIGBUS. */
  @Test
  void fault_outsideOrDead_sigbus() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);
    assertEquals(VM_FAULT_SIGBUS, driver.devDaxHugeFault(devDax, 0, 1024, PMD_ORDER));
    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(VM_FAULT_SIGBUS, driver.devDaxHugeFault(devDax, 0, 0, PMD_ORDER));
  }

  /** The folio has another order than the device's pages. Expect SIGBUS and the WARN. */
  @Test
  void fault_folioOfOtherOrder_warns() {
    DevDax devDax = bound(4 * MIB, 4 * KIB);
    devDax.align = 2 * MIB;
    assertEquals(VM_FAULT_SIGBUS, driver.devDaxHugeFault(devDax, 0, 0, PMD_ORDER));
    assertEquals(List.of("vmf_insert_folio_pmd: folio_order(folio) != PMD_ORDER"), m.warnings());
  }

  /** Two processes map the same page. Expect the mapping set once and two counts more. */
  @Test
  void fault_twice_countsTwice() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);
    assertEquals(VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 0, 0, PMD_ORDER));
    assertEquals(VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 4 * MIB, 0, PMD_ORDER));
    assertEquals(3, m.refcount(GIB));
    assertEquals(devDax.daxDev.mapping(), m.mapping(GIB));
    assertEquals(0, m.dax.unmapDevice(DAX));
    assertEquals(1, m.refcount(GIB));
  }

  // ---- who makes devices ----

  /**
   * Memory runs out while hmem registers a range. Expect no region; the other way as the C says.
   */
  @ParameterizedTest
  @ValueSource(strings = {"memregion_alloc", "platform_device_alloc"})
  void registerHmem_noMemory_enomem(String site) {
    m.failNth(1, site);
    assertEquals(-Errno.ENOMEM, m.dax.registerHmem());
    assertEquals(List.of(), m.dax.bus().regions());
  }

  /** Each note of hmem fails in turn. Expect -ENOMEM when it is hmem's own, and no half device. */
  @ParameterizedTest
  @ValueSource(ints = {1, 5})
  void registerHmem_actionFails_enomem(int nth) {
    m.failNth(nth, "__devm_add_action");
    assertEquals(-Errno.ENOMEM, m.dax.registerHmem());
    assertEquals(List.of(), m.dax.bus().devices());
    assertEquals(List.of(), m.dax.bus().regions());
  }

  /** The probe of the region's driver fails. Expect the range left alone and no error. */
  @Test
  void registerHmem_probeFails_noRegion() {
    m.failNth(1, "alloc_dax_region");
    assertEquals(0, m.dax.registerHmem());
    assertEquals(List.of(), m.dax.bus().regions());
  }

  /** The same range twice. Expect the second left out. */
  @Test
  void hmemRegisterResource_twice_onlyOnce() {
    HmemDevice list = new HmemDevice(m.mm, m.iomem, any -> 0);
    m.mm.printk().setDebug(true);
    Resource res = new Resource(GIB, 2 * GIB - 1, "x", Resource.IORESOURCE_MEM, 0);
    list.hmemRegisterResource(3, res);
    list.hmemRegisterResource(3, res);
    assertEquals(3, list.walkHmemResources((nid, range) -> nid));
    assertTrue(m.log().getLast().endsWith("already active"));
  }

  /** Listed, but no longer soft-reserved. Expect no region of it. */
  @Test
  void registerHmem_rangeGone_noRegion() {
    m.iomem.releaseResource(Objects.requireNonNull(m.iomem.softReserveResource().child));
    assertEquals(0, m.dax.registerHmem());
    assertEquals(List.of(), m.dax.bus().regions());
    HmemDevice list = new HmemDevice(m.mm, m.iomem, any -> 0);
    list.hmemRegisterResource(
        0, new Resource(GIB, 2 * GIB - 1, "x", Resource.IORESOURCE_MEM, 0));
    Hmem hmem = new Hmem(m.mm, m.iomem, list, m.dax.bus(), new Memregion(m.mm));
    assertEquals(0, hmem.daxHmemInit());
    assertEquals(List.of(), m.dax.bus().regions());
  }

  /** No number for a second pmem range. Expect -ENXIO and both ranges given up. */
  @Test
  void registerPmem_noMemory_enxio() {
    DaxMachine p = new DaxMachine().boot().withPmem(GIB, GIB).withPmem(3 * GIB, GIB);
    p.failNth(2, "memregion_alloc");
    assertEquals(-Errno.ENXIO, p.dax.registerPmem());
    assertEquals(
        -Errno.ENODEV, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));
    p.machine.faults().disarm();
    assertEquals(0, p.dax.registerPmem());
    assertEquals(0, p.dax.bind("dax1.0", Source.PMEM, 3 * GIB, 0, 2 * MIB, MapTo.MEM));
  }

  /**
   * A namespace that nobody attached, and memory short for the region. Expect the error of each.
   */
  @Test
  void daxPmemProbe_failures() {
    DaxMachine p = new DaxMachine().boot().withPmem(GIB, 384 * MIB);
    assertEquals(0, p.dax.registerPmem());
    p.failNth(1, "alloc_dax_region");
    assertEquals(
        -Errno.ENOMEM, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));
    p.failNth(1, "devm_init_badblocks");
    assertEquals(
        -Errno.ENOMEM, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));
    p.failNth(1, "nd_pfn_init");
    assertEquals(
        -Errno.ENOMEM, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));
    p.machine.faults().disarm();
    assertEquals(0, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));
  }

  /** Mappings that are refused. Expect a line that says what was wrong with them. */
  @Test
  void checkVma_refusals_sayWhy() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);

    assertEquals(-Errno.EINVAL, driver.checkVma(devDax, 0, 2 * MIB, false));
    assertEquals("dax0.0: fail, attempted private mapping", m.log().getLast());
    assertEquals(-Errno.EINVAL, driver.checkVma(devDax, 4 * KIB, 2 * MIB, true));
    assertEquals("dax0.0: fail, unaligned vma (0x1000 - 0x200000, 0x1fffff)", m.log().getLast());
    assertEquals("device_dax", driver.name());
  }

  /**
   * The node of a device: one that has memory stays, another becomes the nearest that has, and none
   * at all stays none.
   */
  @Test
  void numaMapToOnlineNode_nodes_areTheNearest() {
    assertEquals(0, Hmem.numaMapToOnlineNode(m.mm, 0));
    assertEquals(0, Hmem.numaMapToOnlineNode(m.mm, 5));
    assertEquals(-1, Hmem.numaMapToOnlineNode(m.mm, -1));
    m.mm.nodes().nodeSetOnline(5);
    assertEquals(5, Hmem.numaMapToOnlineNode(m.mm, 5));
  }

  /**
   * Two processes map a folio, then both end, then nobody is left to end.
   *
   * <pre>
   *   page 1   _entire_mapcount  -1 -> 0 -> 1 -> -1     _nr_pages_mapped  0 -> mark -> 0
   * </pre>
   *
   * Expect the mark once, all counts back at the end, and no change the second time.
   */
  @Test
  void unmapMappingRange_twoProcesses_countsAreBack() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);
    assertEquals(VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 0, 0, PMD_ORDER));
    assertEquals(VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 4 * MIB, 0, PMD_ORDER));
    assertEquals(1, m.second(GIB, StructPage.ENTIRE_MAPCOUNT));
    assertEquals(1, m.second(GIB, StructPage.LARGE_MAPCOUNT));
    assertEquals(0x80_0000, m.second(GIB, StructPage.NR_PAGES_MAPPED));
    assertEquals(512, devDax.daxDev.mapped().getFirst().pages());

    assertEquals(0, m.dax.unmapDevice(DAX));
    assertEquals(0, m.dax.unmapDevice(DAX));

    assertEquals(1, m.refcount(GIB));
    assertEquals(-1, m.second(GIB, StructPage.ENTIRE_MAPCOUNT));
    assertEquals(-1, m.second(GIB, StructPage.LARGE_MAPCOUNT));
    assertEquals(0, m.second(GIB, StructPage.NR_PAGES_MAPPED));
  }

  /** A page of 4 KiB in the middle of a device. Expect its index, and its neighbours untouched. */
  @Test
  void fault_singlePage_setsItAlone() {
    DevDax devDax = bound(4 * MIB, 4 * KIB);

    assertEquals(VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 12 * KIB + 5, 3, 0));

    long page = GIB + 12 * KIB;
    assertEquals(3, m.mm.struct().word(m.page(page), StructPage.INDEX));
    assertEquals(devDax.daxDev.mapping(), m.mapping(page));
    assertEquals(0, m.mapping(page - 4 * KIB));
    assertEquals(0, m.mapping(page + 4 * KIB));
    assertEquals(0, m.mapcount(page));
    assertEquals(1, devDax.daxDev.mapped().getFirst().pages());
  }

  /** An address inside a page of 2 MiB. Expect the page of it to be mapped. */
  @Test
  void fault_insideThePage_mapsThePage() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);
    assertEquals(
        VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 2 * MIB + 0x12345, 512, PMD_ORDER));
    assertEquals(2, m.refcount(GIB + 2 * MIB));
    assertEquals(512, m.mm.struct().word(m.page(GIB + 2 * MIB), StructPage.INDEX));
  }

  /**
   * The second range of a device is taken.
   *
   * <pre>
   *   | dax0.0 | dax0.1 | dax0.0: taken |
   * </pre>
   *
   * Expect the line that names it, and the first range given back.
   */
  @Test
  void probe_secondRangeTaken_isNamed() {
    assertEquals(0, m.dax.registerHmem());
    Bus bus = m.dax.bus();
    DevDax devDax = m.devDax(DAX);
    assertEquals(0, bus.sizeStore(devDax, 0));
    assertEquals(0, bus.sizeStore(devDax, 2 * MIB));
    assertEquals(0, bus.createStore(devDax.region(), 1));
    assertEquals(0, bus.sizeStore(m.devDax("dax0.1"), 2 * MIB));
    assertEquals(0, bus.sizeStore(devDax, 4 * MIB));
    m.occupy(GIB + 4 * MIB);
    String before = m.iomem.show();

    assertEquals(0, bus.newIdStore(driver, DAX));

    assertFalse(devDax.bound());
    assertTrue(
        m.log().contains("dax0.0: mapping1: 0x40400000-0x405fffff could not reserve range"));
    assertEquals(before, m.iomem.show());
  }

  /** A device of two ranges. Expect struct pages for both, and none between them. */
  @Test
  void probe_twoRanges_bothHaveStructPages() {
    assertEquals(0, m.dax.registerHmem());
    Bus bus = m.dax.bus();
    DevDax devDax = m.devDax(DAX);
    assertEquals(0, bus.sizeStore(devDax, 0));
    assertEquals(0, bus.sizeStore(devDax, 2 * MIB));
    assertEquals(0, bus.createStore(devDax.region(), 1));
    assertEquals(0, bus.sizeStore(m.devDax("dax0.1"), 2 * MIB));
    assertEquals(0, bus.sizeStore(devDax, 4 * MIB));
    long objects = m.slab.objectsInUse();

    assertEquals(0, bus.newIdStore(driver, DAX));

    assertTrue(devDax.bound());
    assertEquals(0b101, m.subsections(GIB));
    assertEquals(1024, m.owned(Owner.DEVICE));
    assertEquals(VM_FAULT_NOPAGE, driver.devDaxHugeFault(devDax, 2 * MIB, 512, PMD_ORDER));
    assertEquals(2, m.refcount(GIB + 4 * MIB));
    assertEquals(0, m.dax.unbind(DAX));
    assertEquals(0, m.owned(Owner.DEVICE));
    assertEquals(objects, m.slab.objectsInUse());
  }

  /** What runs out of memory while devices are registered. Expect a line that says so. */
  @Test
  void registerHmem_noMemory_saysSo() {
    m.failNth(1, "memregion_alloc");
    assertEquals(-Errno.ENOMEM, m.dax.registerHmem());
    assertTrue(
        m.log()
            .getLast()
            .startsWith("hmem_platform.0: memregion allocation failure for [mem 0x40000000"));
    DaxMachine other = new DaxMachine().boot().withSoftReserved(GIB, 512 * MIB);
    other.failNth(1, "platform_device_alloc");
    assertEquals(-Errno.ENOMEM, other.dax.registerHmem());
    assertTrue(
        other
            .log()
            .getLast()
            .startsWith("hmem_platform.0: device allocation failure for [mem 0x40000000"));
  }

  /** Nodes of soft-reserved ranges. Expect each by its first address. */
  @Test
  void hmemInit_nodes_areByAddress() {
    m.withSoftReserved(4 * GIB, 512 * MIB);
    HmemDevice list = new HmemDevice(m.mm, m.iomem, addr -> addr / GIB);
    assertEquals(0, list.hmemInit());

    List<String> seen = new java.util.ArrayList<>();
    assertEquals(
        0,
        list.walkHmemResources(
            (nid, range) -> {
              seen.add(nid + " " + Long.toHexString(range.start));
              return 0;
            }));
    assertEquals(List.of("1 40000000", "4 100000000"), seen);
  }

  /** Legacy persistent memory that cannot be registered. Expect a line that says so. */
  @Test
  void registerPmem_fails_saysSo() {
    DaxMachine p = new DaxMachine().boot().withPmem(GIB, GIB);
    p.failNth(1, "memregion_alloc");
    assertEquals(-Errno.ENXIO, p.dax.registerPmem());
    assertEquals(
        "e820_pmem: failed to register legacy persistent memory ranges", p.log().getLast());
  }

  /**
   * A fault of 2 MiB on struct pages that are not compound. Expect mapping and index in each of the
   * 512 before the WARN, and none behind.
   */
  @Test
  void fault_singlePagesByAPmd_setsEachBeforeItWarns() {
    DevDax devDax = bound(4 * MIB, 4 * KIB);
    devDax.align = 2 * MIB;

    assertEquals(VM_FAULT_SIGBUS, driver.devDaxHugeFault(devDax, 0, 0, PMD_ORDER));

    assertEquals(5, m.mm.struct().word(m.page(GIB + 20 * KIB), StructPage.INDEX));
    assertEquals(511, m.mm.struct().word(m.page(GIB + 2 * MIB - 4 * KIB), StructPage.INDEX));
    assertEquals(devDax.daxDev.mapping(), m.mapping(GIB + 2 * MIB - 4 * KIB));
    assertEquals(0, m.mapping(GIB + 2 * MIB));
  }

  /** Unbound while a process has it mapped. Expect the process to have nothing left. */
  @Test
  void unbind_mapped_processHasNothingLeft() {
    DevDax devDax = bound(4 * MIB, 2 * MIB);
    assertEquals(0, m.dax.mapDevice(DAX));
    assertEquals(1, devDax.daxDev.mapped().size());

    assertEquals(0, m.dax.unbind(DAX));

    assertEquals(List.of(), devDax.daxDev.mapped());
  }

  /** A range whose region is made and whose device is not. Expect no region to be left of it. */
  @Test
  void registerHmem_noDevice_noRegion() {
    m.failNth(1, "__devm_create_dev_dax");
    assertEquals(0, m.dax.registerHmem());
    assertEquals(List.of(), m.dax.bus().regions());
    assertEquals(List.of(), m.dax.bus().devices());
  }

  /** The note for a region's number cannot be made. Expect the number to be free again. */
  @Test
  void registerHmem_noNote_numberIsFree() {
    m.failNth(1, "__devm_add_action");
    assertEquals(-Errno.ENOMEM, m.dax.registerHmem());

    assertEquals(0, m.dax.registerNamespace(4 * GIB, 384 * MIB, 0));
    assertEquals(0, m.dax.bind(DAX, Source.PMEM, 4 * GIB, 0, 2 * MIB, MapTo.MEM));
  }

  /** Node 0 is gone. Expect the nearest that has memory instead. */
  @Test
  void numaMapToOnlineNode_nodeZeroGone_isAnother() {
    m.mm.nodes().nodeSetOnline(5);
    m.mm.nodes().nodeSetOffline(0);
    assertEquals(5, Hmem.numaMapToOnlineNode(m.mm, 0));
  }

  /** A namespace's device that cannot be made, and one without a namespace. Expect the errors. */
  @Test
  void daxPmemProbe_noDeviceOrNamespace_isRefused() {
    DaxMachine p = new DaxMachine().boot().withPmem(GIB, 384 * MIB);
    assertEquals(0, p.dax.registerPmem());
    p.failNth(1, "__devm_create_dev_dax");
    assertEquals(
        -Errno.ENOMEM, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));
    p.machine.faults().disarm();
    assertEquals(0, p.dax.bind(DAX, Source.PMEM, GIB, 0, 2 * MIB, MapTo.MEM));

    PfnDevs devs = new PfnDevs(p.mm, p.dax.memremap(), new Bus.ThpSizes(true, true));
    DaxPmem pmem = new DaxPmem(p.mm, p.iomem, devs, p.dax.bus());
    NdPfn bare = new NdPfn(new Device("dax7.0", 0), true);
    NdNamespaceIo none =
        new NdNamespaceIo(p.mm, p.iomem, "namespace7.0", 0, new Resource(0, 0, "n", 0, 0));
    assertEquals(
        -Errno.ENODEV, pmem.daxPmemProbe(bare, new NvdimmE820.NdRegion(7, 0, 0, none)));
  }

  /**
   * A namespace's device whose probe fails at the end, and the same one bound and unbound. Expect
   * no driver to be left each time, and the next try to find nothing of the one before.
   */
  @Test
  void daxPmemProbe_sameDeviceAgain_findsNothingLeft() {
    PfnDevs devs = new PfnDevs(m.mm, m.dax.memremap(), new Bus.ThpSizes(true, true));
    DaxPmem pmem = new DaxPmem(m.mm, m.iomem, devs, m.dax.bus());
    Resource range =
        new Resource(4 * GIB, 5 * GIB - 1, "namespace", Resource.IORESOURCE_MEM, 0);
    NdNamespaceIo ndns = new NdNamespaceIo(m.mm, m.iomem, "namespace0.0", 0, range);
    NdPfn ndPfn = devs.ndPfnDevinit(new NdPfn(new Device(DAX, 0), true));
    assertEquals(0, devs.modeStore(ndPfn, NdPfn.Mode.PFN_MODE_RAM));
    assertEquals(0, devs.uuidStore(ndPfn, new NdUuid(1, 2)));
    assertEquals(0, devs.namespaceStore(ndPfn, ndns));
    NvdimmE820.NdRegion region = new NvdimmE820.NdRegion(0, 0, 0, ndns);
    String before = m.iomem.show();

    m.failNth(1, "__devm_create_dev_dax");
    assertEquals(-Errno.ENOMEM, pmem.daxPmemProbe(ndPfn, region));
    assertNull(ndPfn.dev.driver());
    assertEquals(before, m.iomem.show());
    assertEquals(0, pmem.daxPmemProbe(ndPfn, region));
    assertTrue(m.devDax(DAX).bound());
    pmem.remove(ndPfn);
    assertNull(ndPfn.dev.driver());
    assertEquals(0, pmem.daxPmemProbe(ndPfn, region));
    assertEquals(List.of(), m.warnings());
  }

  /**
   * A device of seven ranges: 160 bytes of pgmap with the first, and 16 for each of the others, are
   * 256. Expect the pgmap in one page with another object of 256 bytes.
   */
  @Test
  void probe_sevenRanges_pgmapHasRoomForAll() {
    assertEquals(0, m.dax.registerHmem());
    Bus bus = m.dax.bus();
    DevDax devDax = m.devDax(DAX);
    assertEquals(0, bus.sizeStore(devDax, 0));
    for (int i = 0; i < 7; i++) {
      long start = GIB + 4 * MIB * i;
      assertEquals(0, bus.mappingStore(devDax, start, start + 2 * MIB - 1));
    }
    long other = m.slab.kzalloc(256, devDax.dev.numaNode(), "test");

    assertEquals(0, bus.newIdStore(driver, DAX));

    assertEquals(7, m.pgmap(DAX).nrRange);
    assertEquals(other & -4 * KIB, m.pgmap(DAX).va() & -4 * KIB);
  }
}
