// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.dax.NdPfn.Mode;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Resource;

/** The info block of persistent memory: where it puts the data, and which blocks are refused. */
class PfnDevsTest {
  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final NdUuid UUID = new NdUuid(1, 2);

  private final DaxMachine m = new DaxMachine();
  private final PfnDevs pfnDevs =
      new PfnDevs(m.mm, m.dax.memremap(), new Bus.ThpSizes(true, true));
  private final Device dev = new Device("dax0.0", 0);

  private NdNamespaceIo namespace(long start, long size) {
    Resource res =
        new Resource(
            start,
            start + size - 1,
            "namespace",
            Resource.IORESOURCE_MEM,
            Resource.IORES_DESC_NONE);
    return new NdNamespaceIo(m.mm, m.iomem, "namespace0.0", 0, res);
  }

  private NdPfn ndPfn(NdNamespaceIo ndns, Mode mode, long align) {
    NdPfn ndPfn = pfnDevs.ndPfnDevinit(new NdPfn(dev, true));
    assertEquals(0, pfnDevs.modeStore(ndPfn, mode));
    assertEquals(0, pfnDevs.alignStore(ndPfn, align));
    assertEquals(0, pfnDevs.uuidStore(ndPfn, UUID));
    assertEquals(0, pfnDevs.namespaceStore(ndPfn, ndns));
    assertEquals(0, ndns.devmNsioEnable(dev, 8 * KIB));
    return ndPfn;
  }

  private DevPagemap setup(NdPfn ndPfn, int expected) {
    DevPagemap pgmap = new DevPagemap(0);
    assertEquals(expected, pfnDevs.nvdimmSetupPfn(ndPfn, pgmap));
    return pgmap;
  }

  private static NdPfnSb block(NdPfn ndPfn) {
    return Objects.requireNonNull(ndPfn.pfnSb());
  }

  /**
   * The namespace of the captured kernel, 3 GiB at 5 GiB, memmap in the device.
   *
   * <pre>
   *   5G       +8K                    +50M                                8G
   *   | block  | 12798 pages of memmap | data from 0x143200000            |
   * </pre>
   *
   * Expect the captured start and altmap: 2 pages reserved, 12798 free.
   */
  @Test
  void setup_captured3GiBMapDev_captured() {
    NdPfn ndPfn = ndPfn(namespace(5 * GIB, 3 * GIB), Mode.PFN_MODE_PMEM, 2 * MIB);

    DevPagemap pgmap = setup(ndPfn, 0);

    assertEquals(0x143200000L, 5 * GIB + block(ndPfn).dataoff());
    assertEquals(3168796672L / 4096, ndPfn.npfns());
    assertEquals(new Range(5 * GIB, 8 * GIB - 1), pgmap.ranges[0]);
    assertTrue(pgmap.altmapValid);
    assertEquals(1310720, pgmap.altmap.basePfn);
    assertEquals(2, pgmap.altmap.reserve);
    assertEquals(12798, pgmap.altmap.free);
    assertEquals(8 * GIB / 4096 - 1, pgmap.altmap.endPfn);
  }

  /** The same with pages of 4 KiB. Expect the same start: hotplug adds 2 MiB at least. */
  @Test
  void setup_captured3GiBMapDev4k_sameStart() {
    NdPfn ndPfn = ndPfn(namespace(5 * GIB, 3 * GIB), Mode.PFN_MODE_PMEM, 4 * KIB);
    setup(ndPfn, 0);
    assertEquals(0x143200000L, 5 * GIB + block(ndPfn).dataoff());
    assertEquals(4 * KIB, block(ndPfn).align());
  }

  /** The same with the memmap in RAM. Expect the data at 2 MiB and no altmap. */
  @Test
  void setup_captured3GiBMapMem_captured() {
    NdPfn ndPfn = ndPfn(namespace(5 * GIB, 3 * GIB), Mode.PFN_MODE_RAM, 2 * MIB);
    DevPagemap pgmap = setup(ndPfn, 0);
    assertEquals(0x140200000L, 5 * GIB + block(ndPfn).dataoff());
    assertEquals(3219128320L / 4096, ndPfn.npfns());
    assertFalse(pgmap.altmapValid);
  }

  /**
   * Pages of 1 GiB in a namespace that ends between two of them.
   *
   * <pre>
   *   4G                    5G                  6G       6.5G
   *   | block, memmap, pad  | data              | cut off |
   * </pre>
   *
   * Expect one page of data, and the rest of the end cut off.
   */
  @Test
  void setup_1GiBPages_endCutOff() {
    NdPfn ndPfn = ndPfn(namespace(4 * GIB, 2 * GIB + 512 * MIB), Mode.PFN_MODE_PMEM, GIB);
    DevPagemap pgmap = setup(ndPfn, 0);
    assertEquals(GIB, block(ndPfn).dataoff());
    assertEquals(512 * MIB, block(ndPfn).endTrunc());
    assertEquals(GIB / 4096, ndPfn.npfns());
    assertEquals(new Range(4 * GIB, 6 * GIB - 1), pgmap.ranges[0]);
    assertEquals(6 * GIB / 4096 - 1, pgmap.altmap.endPfn);
  }

  /** A page size of which no page fits. Expect -ENXIO. */
  @Test
  void setup_noRoomForOnePage_enxio() {
    NdPfn ndPfn = ndPfn(namespace(4 * GIB, GIB + 2 * MIB), Mode.PFN_MODE_RAM, GIB);
    setup(ndPfn, -Errno.ENXIO);
    assertTrue(m.log().getLast().endsWith("unable to satisfy requested alignment"));
  }

  /** A namespace that does not start at 2 MiB. Expect -EINVAL. */
  @Test
  void setup_startMisaligned_einval() {
    NdPfn ndPfn = ndPfn(namespace(4 * GIB + MIB, GIB), Mode.PFN_MODE_RAM, 2 * MIB);
    setup(ndPfn, -Errno.EINVAL);
  }

  /** Where the memmap goes was not chosen. Expect -ENXIO. */
  @Test
  void setup_noMode_enxio() {
    setup(ndPfn(namespace(4 * GIB, GIB), Mode.PFN_MODE_NONE, 2 * MIB), -Errno.ENXIO);
  }

  /** No uuid, or no namespace. Expect -ENODEV. */
  @Test
  void setup_notConfigured_enodev() {
    setup(new NdPfn(dev, true), -Errno.ENODEV);
  }

  /** No memory for the block. Expect -ENOMEM. */
  @Test
  void setup_noMemory_enomem() {
    NdPfn ndPfn = ndPfn(namespace(4 * GIB, GIB), Mode.PFN_MODE_RAM, 2 * MIB);
    m.failNth(1, "nd_pfn_init");
    setup(ndPfn, -Errno.ENOMEM);
  }

  /** Struct pages of 72 bytes do not fit in the 64 that are set aside. Expect -EINVAL. */
  @Test
  void setup_largeStructPage_einval() {
    DaxMachine large =
        new DaxMachine(
            MmConfig.debianX86()
                .withSizeofStructPage(72)
                .withHugetlbOptimizeVmemmap(false)
                .withDeferredStructPageInit(false));
    PfnDevs devs = new PfnDevs(large.mm, large.dax.memremap(), new Bus.ThpSizes(true, true));
    NdNamespaceIo ndns =
        new NdNamespaceIo(
            large.mm,
            large.iomem,
            "namespace0.0",
            0,
            new Resource(4 * GIB, 5 * GIB - 1, "n", Resource.IORESOURCE_MEM, 0));
    NdPfn ndPfn = new NdPfn(dev, true);
    ndPfn.mode = Mode.PFN_MODE_PMEM;
    ndPfn.align = 2 * MIB;
    ndPfn.uuid = UUID;
    ndPfn.ndns = ndns;
    assertEquals(0, ndns.devmNsioEnable(dev, 8 * KIB));

    assertEquals(-Errno.EINVAL, devs.nvdimmSetupPfn(ndPfn, new DevPagemap(0)));
  }

  /** The second setup finds the block of the first. Expect it used as it is. */
  @Test
  void setup_twice_blockIsReused() {
    NdNamespaceIo ndns = namespace(4 * GIB, GIB);
    NdPfn first = ndPfn(ndns, Mode.PFN_MODE_RAM, 2 * MIB);
    setup(first, 0);

    NdPfn second = new NdPfn(dev, true);
    second.ndns = ndns;
    second.pfnSb = new NdPfnSb();

    assertEquals(0, pfnDevs.ndPfnValidate(second, NdPfnSb.DAX_SIG));
    assertEquals(UUID, second.uuid);
    assertEquals(Mode.PFN_MODE_RAM, second.mode);
    assertEquals(2 * MIB, second.align);
    assertEquals(block(first).checksum(), block(second).checksum());
  }

  // ---- nd_pfn_validate ----

  private NdNamespaceIo ndns = namespace(4 * GIB, GIB);

  /** A device and the block that it wrote; {@code spoil} it and validate anew. */
  private int validate(java.util.function.Consumer<NdPfnSb> spoil, NdPfn ndPfn) {
    NdPfnSb sb = block(ndPfn);
    spoil.accept(sb);
    sb.setChecksum(sb.sbChecksum());
    assertEquals(0, ndns.writeBytes(4096, sb.words()));
    return pfnDevs.ndPfnValidate(ndPfn, NdPfnSb.DAX_SIG);
  }

  private NdPfn written(Mode mode) {
    NdPfn ndPfn = ndPfn(ndns, mode, 2 * MIB);
    setup(ndPfn, 0);
    return ndPfn;
  }

  /** No buffer for the block. Expect -ENODEV. */
  @Test
  void validate_noBlock_enodev() {
    assertEquals(-Errno.ENODEV, pfnDevs.ndPfnValidate(new NdPfn(dev, true), NdPfnSb.DAX_SIG));
  }

  /** The namespace is not enabled that far. Expect -ENXIO and the WARN of the access. */
  @Test
  void validate_notReadable_enxio() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    ndns.devmNsioDisable(dev);
    assertEquals(0, ndns.devmNsioEnable(dev, 4 * KIB));

    assertEquals(-Errno.ENXIO, pfnDevs.ndPfnValidate(ndPfn, NdPfnSb.DAX_SIG));
    assertEquals("nsio_rw_bytes: request out of range", m.warnings().getLast());
    assertEquals(-Errno.EFAULT, ndns.writeBytes(4096, new long[1]));
  }

  /** Another signature, a wrong checksum, another parent, another device. Expect -ENODEV. */
  @Test
  void validate_foreignBlock_enodev() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    assertEquals(-Errno.ENODEV, pfnDevs.ndPfnValidate(ndPfn, NdPfnSb.PFN_SIG));
    assertEquals(-Errno.ENODEV, validate(sb -> sb.setParentUuid(UUID), ndPfn));
    assertEquals(
        -Errno.ENODEV,
        validate(
            sb -> {
              sb.setParentUuid(NdUuid.NULL);
              sb.setUuid(new NdUuid(8, 9));
            },
            ndPfn));
    NdPfnSb sb = block(ndPfn);
    sb.setChecksum(sb.checksum() + 1);
    assertEquals(0, ndns.writeBytes(4096, sb.words()));
    assertEquals(-Errno.ENODEV, pfnDevs.ndPfnValidate(ndPfn, NdPfnSb.DAX_SIG));
  }

  /** A mode that does not exist. Expect -ENXIO. */
  @Test
  void validate_badMode_enxio() {
    assertEquals(-Errno.ENXIO, validate(sb -> sb.setMode(7), written(Mode.PFN_MODE_RAM)));
  }

  /**
   * A memmap in the device of a kernel with larger pages or smaller struct pages. Expect refusal.
   */
  @Test
  void validate_memmapOfOtherKernel_unsupported() {
    NdPfn ndPfn = written(Mode.PFN_MODE_PMEM);
    assertEquals(-Errno.EOPNOTSUPP, validate(sb -> sb.setPageSize(64 * KIB), ndPfn));
    assertEquals(
        -Errno.EOPNOTSUPP,
        validate(
            sb -> {
              sb.setPageSize(4 * KIB);
              sb.setPageStructSize(56);
            },
            ndPfn));
  }

  /** A page size that no process can have, or another one than asked for. Expect refusal. */
  @Test
  void validate_otherAlign_unsupported() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    assertEquals(-Errno.EOPNOTSUPP, validate(sb -> sb.setAlign(16 * MIB), ndPfn));
    assertTrue(m.log().getLast().contains("alignment mismatch"));
    assertEquals(-Errno.EOPNOTSUPP, validate(sb -> sb.setAlign(4 * KIB), ndPfn));
    assertTrue(m.log().getLast().contains("settings mismatch"));
  }

  /** No memory for the copy of the uuid. Expect -ENOMEM. */
  @Test
  void validate_noMemory_enomem() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    ndPfn.uuid = null;
    m.failNth(1, "nd_pfn_validate");
    assertEquals(-Errno.ENOMEM, pfnDevs.ndPfnValidate(ndPfn, NdPfnSb.DAX_SIG));
  }

  /**
   * Data outside of the namespace, or at a bad place in it. Expect refusal, each with its reason.
   */
  @Test
  void validate_badPlace_unsupported() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    expectReason(ndPfn, sb -> sb.setDataoff(2 * GIB), "pfn array size exceeds capacity");
    expectReason(ndPfn, sb -> sb.setDataoff(3 * MIB), "bad offset: 0x300000");
    expectReason(
        ndPfn,
        sb -> {
          sb.setDataoff(MIB);
          sb.setStartPad(MIB);
        },
        "resource start misaligned");
    expectReason(
        ndPfn,
        sb -> {
          sb.setDataoff(2 * MIB);
          sb.setStartPad(0);
          sb.setEndTrunc(MIB);
        },
        "resource end misaligned");
    expectReason(
        ndPfn, sb -> sb.setEndTrunc(GIB - 2 * MIB), "bad offset with small namespace");
  }

  private void expectReason(
      NdPfn ndPfn, java.util.function.Consumer<NdPfnSb> spoil, String reason) {
    assertEquals(-Errno.EOPNOTSUPP, validate(spoil, ndPfn));
    assertTrue(m.log().getLast().contains(reason), m.log().getLast());
  }

  /** A page larger than the namespace. Expect refusal. */
  @Test
  void validate_alignLargerThanNamespace_unsupported() {
    ndns = namespace(4 * GIB, 512 * MIB);
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    ndPfn.align = GIB;
    expectReason(ndPfn, sb -> sb.setAlign(GIB), "exceeds capacity");
  }

  /** A block of the first version, which knows neither padding nor page sizes. Expect it read. */
  @Test
  void validate_version0_defaultsFilledIn() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    int rc =
        validate(
            sb -> {
              sb.setVersion(1, 0);
              sb.setStartPad(4096);
              sb.setAlign(0);
              sb.setPageSize(0);
            },
            ndPfn);
    assertEquals(0, rc);
    assertEquals(0, block(ndPfn).startPad());
    assertEquals(2 * MIB, block(ndPfn).align());
    assertEquals(4 * KIB, block(ndPfn).pageSize());
  }

  // ---- the files of a device, and the arithmetic ----

  /** Settings of a device that a driver has. Expect -EBUSY for each. */
  @Test
  void stores_bound_busy() {
    NdPfn ndPfn = new NdPfn(dev, true);
    dev.setDriver(this);
    assertEquals(-Errno.EBUSY, pfnDevs.modeStore(ndPfn, Mode.PFN_MODE_RAM));
    assertEquals(-Errno.EBUSY, pfnDevs.alignStore(ndPfn, 4 * KIB));
    assertEquals(-Errno.EBUSY, pfnDevs.uuidStore(ndPfn, UUID));
    assertEquals(-Errno.EBUSY, pfnDevs.namespaceStore(ndPfn, ndns));
  }

  /** A namespace that is claimed, already set or too small, and a page size that does not exist. */
  @Test
  void stores_badValues_refused() {
    ndns.claim = new Device("btt0.0", 0);
    assertEquals(-Errno.EBUSY, pfnDevs.namespaceStore(new NdPfn(dev, true), ndns));
    NdNamespaceIo tiny = namespace(4 * GIB, 8 * MIB);
    assertEquals(-Errno.ENXIO, pfnDevs.namespaceStore(new NdPfn(dev, true), tiny));
    assertEquals(-Errno.EINVAL, pfnDevs.alignStore(new NdPfn(dev, true), 16 * MIB));
  }

  /** Page sizes of a machine without large leaves. Expect only 4 KiB, also by default. */
  @Test
  void alignments_withoutLargeLeaves_basePageOnly() {
    PfnDevs small = new PfnDevs(m.mm, m.dax.memremap(), new Bus.ThpSizes(false, false));
    NdPfn ndPfn = small.ndPfnDevinit(new NdPfn(dev, true));
    assertEquals(4 * KIB, ndPfn.align);
    assertEquals(-Errno.EINVAL, small.alignStore(ndPfn, 2 * MIB));
  }

  /** A range that starts inside 2 MiB. Expect base rounded down, and the reserve larger by that. */
  @Test
  void altmap_baseInsideSubsection_reserveGrows() {
    long base = 4 * GIB + 64 * KIB;
    assertEquals(4 * GIB / 4096, pfnDevs.initAltmapBase(base));
    assertEquals(16 + 2, pfnDevs.initAltmapReserve(base));
  }

  /** Data that would overlap the info block. Expect -EINVAL. */
  @Test
  void setupPfn_dataInsideBlock_einval() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    block(ndPfn).setDataoff(4096);
    assertEquals(
        -Errno.EINVAL, pfnDevs.nvdimmSetupPfn0(ndPfn, block(ndPfn), ndns, new DevPagemap(0)));
  }

  /** A block that promises more pages than there are. Expect the number cut, with a message. */
  @Test
  void setupPfn_tooManyPages_cut() {
    NdPfn ndPfn = written(Mode.PFN_MODE_PMEM);
    long pages = ndPfn.npfns();
    block(ndPfn).setNpfns(pages + 5);
    assertEquals(0, pfnDevs.nvdimmSetupPfn0(ndPfn, block(ndPfn), ndns, new DevPagemap(0)));
    assertEquals(pages, ndPfn.npfns());
    assertTrue(m.log().getLast().contains("number of pfns truncated"));
  }

  /** The first bytes are in use. Expect -EBUSY; no memory for the list of bad blocks, -ENOMEM. */
  @Test
  void nsioEnable_failures() {
    m.failNth(1, "devm_init_badblocks");
    assertEquals(-Errno.ENOMEM, ndns.devmNsioEnable(dev, 8 * KIB));
    assertEquals(-Errno.EBUSY, ndns.devmNsioEnable(dev, 8 * KIB));
  }

  /** Sums of two words of one. Expect them computed by hand: the low sum, and the sum of sums. */
  @Test
  void fletcher64_smallInput() {
    long[] words = {1L << 32 | 1};
    assertEquals(3L << 32 | 2, NdPfnSb.fletcher64(words));
  }

  /**
   * Blocks of each version with all fields set. Expect a field to count from the version on that has
   * it, and its default before: no padding, the alignment of the data, 64 bytes and pages of 4 KiB.
   */
  @ParameterizedTest
  @CsvSource({
    // version 1.n, padding at both ends, alignment, struct page, page
    "0, 0,       2097152, 64, 4096",
    "1, 2097152, 2097152, 64, 4096",
    "2, 2097152, 4096,    64, 4096",
    "3, 2097152, 4096,    64, 4096",
    "4, 2097152, 4096,    56, 8192",
  })
  void validate_eachVersion_trustsWhatItHas(
      int minor, long pad, long align, int structSize, int pageSize) {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    ndPfn.uuid = null;
    int rc =
        validate(
            sb -> {
              sb.setVersion(1, minor);
              sb.setStartPad(2 * MIB);
              sb.setEndTrunc(2 * MIB);
              sb.setAlign(4 * KIB);
              sb.setPageStructSize(56);
              sb.setPageSize(8 * KIB);
            },
            ndPfn);

    assertEquals(0, rc);
    assertEquals(pad, block(ndPfn).startPad());
    assertEquals(pad, block(ndPfn).endTrunc());
    assertEquals(align, block(ndPfn).align());
    assertEquals(align, ndPfn.align);
    assertEquals(structSize, block(ndPfn).pageStructSize());
    assertEquals(pageSize, block(ndPfn).pageSize());
  }

  /** A fresh block. Expect version 1.4, the kernel's sizes, the device's uuid and a checksum. */
  @Test
  void setup_freshBlock_hasAllFields() {
    NdPfn ndPfn = ndPfn(namespace(4 * GIB, GIB), Mode.PFN_MODE_PMEM, 2 * MIB);
    setup(ndPfn, 0);

    NdPfnSb sb = block(ndPfn);
    assertEquals(4, sb.versionMinor());
    assertEquals(64, sb.pageStructSize());
    assertEquals(4 * KIB, sb.pageSize());
    assertEquals(UUID, sb.uuid());
    assertEquals(NdUuid.NULL, sb.parentUuid());
    assertEquals(Mode.PFN_MODE_PMEM.number(), sb.mode());
    assertEquals(sb.sbChecksum(), sb.checksum());
    assertTrue(sb.checksum() != 0);
    assertEquals(ndPfn.npfns(), sb.npfns());
    assertEquals(0, sb.startPad());
    assertEquals(0, sb.endTrunc());
  }

  /**
   * The last place at which data can be, and the first at which it cannot.
   *
   * <pre>
   *   4G                      5G - 2M     5G
   *   | ...                   | data      |    one page of 2 MiB
   * </pre>
   */
  @Test
  void validate_lastPage_isTheLimit() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    assertEquals(0, validate(sb -> sb.setDataoff(GIB - 2 * MIB), ndPfn));
    expectReason(ndPfn, sb -> sb.setDataoff(GIB), "pfn array size exceeds capacity of namespace0.0");
    expectReason(
        ndPfn,
        sb -> {
          sb.setDataoff(GIB - 2 * MIB);
          sb.setEndTrunc(2 * MIB);
        },
        "bad offset with small namespace");
    expectReason(
        ndPfn,
        sb -> {
          sb.setDataoff(GIB - 4 * MIB);
          sb.setEndTrunc(2 * MIB);
          sb.setStartPad(2 * MIB);
        },
        "bad offset with small namespace");
    assertEquals(
        0,
        validate(
            sb -> {
              sb.setDataoff(GIB - 6 * MIB);
              sb.setEndTrunc(2 * MIB);
              sb.setStartPad(2 * MIB);
            },
            ndPfn));
  }

  /** Data behind the padding is aligned as a whole. Expect the sum to count, not the parts. */
  @Test
  void validate_paddingAndOffset_countTogether() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    expectReason(ndPfn, sb -> sb.setDataoff(2 * MIB + 4 * KIB), "bad offset: 0x201000");
    expectReason(
        ndPfn,
        sb -> {
          sb.setDataoff(2 * MIB + 2048);
          sb.setStartPad(2 * MIB - 2048);
        },
        "bad offset: 0x200800");
  }

  /** The info block's end is where data may begin in RAM mode. Expect 8 KiB, on this machine. */
  @Test
  void setupPfn_dataBehindTheBlock_isTheLimit() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    block(ndPfn).setDataoff(8 * KIB);
    assertEquals(
        0, pfnDevs.nvdimmSetupPfn0(ndPfn, block(ndPfn), ndns, new DevPagemap(0)));
    block(ndPfn).setDataoff(8 * KIB - 1);
    assertEquals(
        -Errno.EINVAL, pfnDevs.nvdimmSetupPfn0(ndPfn, block(ndPfn), ndns, new DevPagemap(0)));
  }

  /** What is refused is said, with the device and the numbers. */
  @Test
  void setup_refused_saysWhy() {
    setup(ndPfn(namespace(4 * GIB + MIB, GIB), Mode.PFN_MODE_RAM, 2 * MIB), -Errno.EINVAL);
    assertEquals(
        "dax0.0: namespace0.0: start 0x100100000 misaligned to 0x200000", m.log().getLast());
  }

  /**
   * Every field of the block with a value of its own, twice: a second write replaces the first.
   *
   * <pre>
   *   word  0 1        2 3   4 5     6              7        8      9          10           11
   *        signature  uuid  parent  flags, version  dataoff  npfns  mode, pad  trunc, align  sizes
   * </pre>
   *
   * Expect each where {@code struct nd_pfn_sb} has it, little-endian, and read back as written.
   */
  @Test
  void block_everyField_liesWhereTheKernelHasIt() {
    NdPfnSb sb = new NdPfnSb();
    fill(sb, 0x7fff_ffff);
    fill(sb, 0x1122_3344);

    long[] words = sb.words();
    assertEquals("NVDIMM_DAX_INFO\0", text(words[0]) + text(words[1]));
    assertEquals(0x0004_0001_0000_0000L, words[6]);
    assertEquals(0x0123_4567_89ab_cdefL, words[7]);
    assertEquals(0x7654_3210L, words[8]);
    assertEquals(0x1122_3344_0000_0002L, words[9]);
    assertEquals(0x1122_3345_1122_3346L, words[10]);
    assertEquals(0x0000_0048_1122_3347L, words[11]);
    assertEquals(0x1122_3344L, sb.startPad());
    assertEquals(0x1122_3346L, sb.endTrunc());
    assertEquals(0x1122_3345L, sb.align());
    assertEquals(0x1122_3347L, sb.pageSize());
    assertEquals(0x48, sb.pageStructSize());
    assertEquals(2, sb.mode());
    assertEquals(4, sb.versionMinor());
    assertEquals(new NdUuid(5, 6), sb.uuid());
    assertEquals(new NdUuid(7, 8), sb.parentUuid());
    assertEquals(5, words[2]);
    assertEquals(8, words[5]);
  }

  private static void fill(NdPfnSb sb, long bytes) {
    sb.setSignature(NdPfnSb.DAX_SIG);
    sb.setUuid(new NdUuid(5, 6));
    sb.setParentUuid(new NdUuid(7, 8));
    sb.setVersion(1, 4);
    sb.setDataoff(0x0123_4567_89ab_cdefL);
    sb.setNpfns(0x7654_3210L);
    sb.setMode(bytes == 0x1122_3344 ? 2 : 1);
    sb.setStartPad(bytes);
    sb.setAlign(bytes + 1);
    sb.setEndTrunc(bytes + 2);
    sb.setPageSize(bytes + 3);
    sb.setPageStructSize(bytes == 0x1122_3344 ? 0x48 : 0xffff);
  }

  private static String text(long word) {
    StringBuilder out = new StringBuilder();
    for (int shift = 0; shift < 64; shift += 8) {
      out.append((char) (word >>> shift & 0xff));
    }
    return out.toString();
  }

  /** A signature that differs in its second half only. Expect it to be another. */
  @Test
  void hasSignature_secondHalf_counts() {
    NdPfnSb sb = new NdPfnSb();
    sb.setSignature(NdPfnSb.DAX_SIG);
    assertTrue(sb.hasSignature(NdPfnSb.DAX_SIG));
    assertFalse(sb.hasSignature(NdPfnSb.PFN_SIG));
    sb.words()[1]++;
    assertFalse(sb.hasSignature(NdPfnSb.DAX_SIG));
  }

  /**
   * Sums over two 64-bit words, as 32-bit halves 1, 2, 3 and -1.
   *
   * <pre>
   *   lo   1  3  6  5        (32 bits, wraps)
   *   hi   1  4  10 15
   * </pre>
   *
   * Expect the sum of sums on top of the sum.
   */
  @Test
  void fletcher64_fourHalves_sumsOfSums() {
    assertEquals(
        15L << 32 | 5, NdPfnSb.fletcher64(new long[] {2L << 32 | 1, 0xffff_ffffL << 32 | 3}));
    assertEquals(
        0xffff_ffffL << 32 | 0xffff_ffffL,
        NdPfnSb.fletcher64(new long[] {0xffff_ffffL << 32}));
  }

  /** The checksum is that of the block without it. Expect it to stay while it is computed. */
  @Test
  void sbChecksum_block_isOfAllButItself() {
    NdPfnSb sb = new NdPfnSb();
    fill(sb, 0x1122_3344);
    long sum = sb.sbChecksum();
    sb.setChecksum(99);

    assertEquals(sum, sb.sbChecksum());
    assertEquals(99, sb.checksum());
  }

  /** The page sizes of a machine with small leaves only. Expect 2 MiB to be one, and no 1 GiB. */
  @Test
  void alignments_withoutPud_endAtThePmd() {
    PfnDevs noPud = new PfnDevs(m.mm, m.dax.memremap(), new Bus.ThpSizes(true, false));
    NdPfn ndPfn = noPud.ndPfnDevinit(new NdPfn(dev, true));

    assertEquals(2 * MIB, ndPfn.align);
    assertEquals(0, noPud.alignStore(ndPfn, 4 * KIB));
    assertEquals(0, noPud.alignStore(ndPfn, 2 * MIB));
    assertEquals(-Errno.EINVAL, noPud.alignStore(ndPfn, GIB));
    assertEquals(2 * MIB, ndPfn.align);
  }

  /** Namespaces around the least size of 16 MiB. Expect that one to be taken and claimed. */
  @Test
  void namespaceStore_leastSize_isClaimed() {
    NdNamespaceIo least = namespace(4 * GIB, 16 * MIB);
    NdPfn ndPfn = new NdPfn(dev, true);

    assertEquals(
        -Errno.ENXIO, pfnDevs.namespaceStore(ndPfn, namespace(4 * GIB, 16 * MIB - 4 * KIB)));
    assertEquals(0, pfnDevs.namespaceStore(ndPfn, least));
    assertEquals(dev, least.claim);
    assertEquals(-Errno.EBUSY, pfnDevs.namespaceStore(ndPfn, namespace(5 * GIB, GIB)));
  }

  /** Another device of the same namespace, which keeps the settings of the first. */
  private NdPfn second(Mode mode, long align) {
    ndns.claim = null;
    NdPfn other = pfnDevs.ndPfnDevinit(new NdPfn(dev, true));
    assertEquals(0, pfnDevs.modeStore(other, mode));
    assertEquals(0, pfnDevs.alignStore(other, align));
    assertEquals(0, pfnDevs.uuidStore(other, UUID));
    assertEquals(0, pfnDevs.namespaceStore(other, ndns));
    return other;
  }

  /** A namespace that has a block already, with the memmap in the device. Expect it used as it is. */
  @Test
  void setup_blockThere_isUsed() {
    NdPfn first = written(Mode.PFN_MODE_PMEM);
    NdPfn other = second(Mode.PFN_MODE_PMEM, 2 * MIB);

    DevPagemap pgmap = setup(other, 0);

    assertEquals(block(first).dataoff(), block(other).dataoff());
    assertEquals(first.npfns(), other.npfns());
    assertTrue(pgmap.altmapValid);
  }

  /** The same, and somebody else uses the namespace by now. Expect -EBUSY. */
  @Test
  void setup_blockThereButMemmapTaken_busy() {
    written(Mode.PFN_MODE_PMEM);
    ndns.devmNsioDisable(dev);
    assertEquals(0, ndns.devmNsioEnable(dev, 8 * KIB));
    NdPfn other = second(Mode.PFN_MODE_PMEM, 2 * MIB);
    m.occupy(4 * GIB + MIB);
    setup(other, -Errno.EBUSY);
  }

  /** A namespace without a block, whose memmap's place is taken. Expect -EBUSY, and no block. */
  @Test
  void setup_memmapTaken_busy() {
    NdPfn ndPfn = ndPfn(ndns, Mode.PFN_MODE_PMEM, 2 * MIB);
    m.occupy(4 * GIB + MIB);
    setup(ndPfn, -Errno.EBUSY);
    assertEquals(0, m.machine.memory().getLong(4 * GIB + 4096));
  }

  /** A block that fits the device but not its settings. Expect refusal, and the block to stay. */
  @Test
  void setup_blockOfOtherSettings_staysAsItIs() {
    NdPfn first = written(Mode.PFN_MODE_RAM);
    long checksum = block(first).checksum();
    NdPfn other = second(Mode.PFN_MODE_RAM, 4 * KIB);

    setup(other, -Errno.EOPNOTSUPP);

    assertEquals(checksum, m.machine.memory().getLong(4 * GIB + 4096 + 511 * 8));
  }

  /** Something else where the block goes. Expect a block without any of it. */
  @Test
  void setup_garbage_isOverwritten() {
    NdPfn ndPfn = ndPfn(ndns, Mode.PFN_MODE_RAM, 2 * MIB);
    long[] garbage = new long[512];
    java.util.Arrays.fill(garbage, -1);
    assertEquals(0, ndns.writeBytes(4096, garbage));

    setup(ndPfn, 0);

    assertEquals(0, block(ndPfn).startPad());
    assertEquals(0, block(ndPfn).words()[100]);
    assertEquals(0, m.machine.memory().getLong(4 * GIB + 4096 + 100 * 8));
  }

  /** A namespace that cannot be used. Expect nothing to be written into it. */
  @Test
  void setup_refused_writesNothing() {
    setup(ndPfn(namespace(4 * GIB + MIB, GIB), Mode.PFN_MODE_RAM, 2 * MIB), -Errno.EINVAL);
    assertEquals(0, m.machine.memory().getLong(4 * GIB + MIB + 4096));
    assertEquals(0, m.machine.memory().getLong(4 * GIB + MIB + 4096 + 511 * 8));
  }

  /** Where the memmap goes was not chosen. Expect nothing to be written. */
  @Test
  void setup_noMode_writesNothing() {
    NdPfn ndPfn = ndPfn(ndns, Mode.PFN_MODE_NONE, 2 * MIB);
    setup(ndPfn, -Errno.ENXIO);
    assertEquals(0, m.machine.memory().getLong(4 * GIB + 4096 + 511 * 8));
    assertEquals(
        -Errno.ENXIO,
        pfnDevs.nvdimmSetupPfn0(ndPfn, new NdPfnSb(), ndns, new DevPagemap(0)));
  }

  /**
   * A namespace whose block and memmap end exactly where a page of 2 MiB does.
   *
   * <pre>
   *   4G      +8K                            +2M
   *   | block | 64 bytes for each of n pages | data      n = 32640
   * </pre>
   *
   * Expect the data right there, and not a page later.
   */
  @Test
  void setup_memmapEndsAtAPage_dataFollows() {
    NdPfn ndPfn = ndPfn(namespace(4 * GIB, 128 * MIB - 504 * KIB), Mode.PFN_MODE_PMEM, 2 * MIB);
    setup(ndPfn, 0);
    assertEquals(2 * MIB, block(ndPfn).dataoff());
    assertEquals(2 * MIB - 504 * KIB, block(ndPfn).endTrunc());
    assertEquals((124 * MIB) / 4096, block(ndPfn).npfns());
    assertFalse(m.log().stream().anyMatch(line -> line.contains("truncated")));
  }

  /** Struct pages of 72 bytes. Expect the line that says why they cannot be in the device. */
  @Test
  void setup_largeStructPage_saysWhy() {
    DaxMachine large =
        new DaxMachine(
            MmConfig.debianX86()
                .withSizeofStructPage(72)
                .withHugetlbOptimizeVmemmap(false)
                .withDeferredStructPageInit(false));
    PfnDevs devs = new PfnDevs(large.mm, large.dax.memremap(), new Bus.ThpSizes(true, true));
    Resource res = new Resource(4 * GIB, 5 * GIB - 1, "n", Resource.IORESOURCE_MEM, 0);
    NdNamespaceIo its = new NdNamespaceIo(large.mm, large.iomem, "namespace0.0", 0, res);
    NdPfn ndPfn = devs.ndPfnDevinit(new NdPfn(dev, true));
    ndPfn.mode = Mode.PFN_MODE_PMEM;
    ndPfn.uuid = UUID;
    ndPfn.ndns = its;
    assertEquals(0, its.devmNsioEnable(dev, 8 * KIB));

    assertEquals(-Errno.EINVAL, devs.nvdimmSetupPfn(ndPfn, new DevPagemap(0)));

    assertEquals(
        "dax0.0: Memory debug options prevent using pmem for the page map",
        large.log().getLast());
  }

  /** A valid block whose data overlaps it. Expect -EINVAL, though the block itself is sound. */
  @Test
  void setup_dataOverTheBlock_einval() {
    NdPfn first = ndPfn(ndns, Mode.PFN_MODE_RAM, 4 * KIB);
    setup(first, 0);
    NdPfn other = second(Mode.PFN_MODE_RAM, 4 * KIB);
    assertEquals(0, validate(sb -> sb.setDataoff(4 * KIB), first));

    setup(other, -Errno.EINVAL);
  }

  /** Padding at both ends. Expect struct pages for what lies between. */
  @Test
  void setupPfn_padding_isLeftOut() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    block(ndPfn).setStartPad(2 * MIB);
    block(ndPfn).setEndTrunc(4 * MIB);
    DevPagemap pgmap = new DevPagemap(0);
    assertEquals(0, pfnDevs.nvdimmSetupPfn0(ndPfn, block(ndPfn), ndns, pgmap));
    assertEquals(new Range(4 * GIB + 2 * MIB, 5 * GIB - 4 * MIB - 1), pgmap.ranges[0]);
    assertEquals(1, pgmap.nrRange);
  }

  /** One page as large as the namespace. Expect it to fit, with its data at the very start. */
  @Test
  void validate_pageAsLargeAsTheNamespace_fits() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    ndPfn.align = GIB;
    assertEquals(
        0,
        validate(
            sb -> {
              sb.setAlign(GIB);
              sb.setDataoff(0);
            },
            ndPfn));
  }

  /** Padding and offset that make up for each other. Expect the start to be what is wrong then. */
  @Test
  void validate_paddingMakesUpForTheOffset_startIsWrong() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    expectReason(
        ndPfn,
        sb -> {
          sb.setDataoff(2 * MIB + 4 * KIB);
          sb.setStartPad(2 * MIB - 4 * KIB);
        },
        "resource start misaligned");
  }

  /**
   * A namespace that begins and ends inside 2 MiB, with a block that cuts it to whole ones.
   *
   * <pre>
   *   4G + 512K   4G + 2M            5G      5G + 512K
   *   | padding   | ...              |  cut  |
   * </pre>
   *
   * Expect it to be fine.
   */
  @Test
  void validate_paddingToWholePages_isFine() {
    NdPfn ndPfn = written(Mode.PFN_MODE_RAM);
    NdNamespaceIo odd = namespace(4 * GIB + 512 * KIB, GIB);
    NdPfnSb sb = block(ndPfn);
    sb.setStartPad(2 * MIB - 512 * KIB);
    sb.setEndTrunc(512 * KIB);
    sb.setChecksum(sb.sbChecksum());
    ndns.devmNsioDisable(dev);
    assertEquals(0, odd.devmNsioEnable(dev, 8 * KIB));
    assertEquals(0, odd.writeBytes(4096, sb.words()));
    ndPfn.ndns = odd;

    assertEquals(0, pfnDevs.ndPfnValidate(ndPfn, NdPfnSb.DAX_SIG));
  }
}
