// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.NdPfn.Mode;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;
import org.vmemmap.types.VmemAltmap;

/**
 * Persistent memory with an info block: where its data starts, and where its memmap lies.
 *
 * <pre>
 *   map=dev   |info block| memmap: 64 bytes a page, padded | data                     |trunc|
 *             0         8K                               dataoff
 *   altmap     reserve 2   free = (dataoff - 8K) / 4K
 *
 *   map=mem   |info block| padding to align | data                                    |trunc|
 * </pre>
 *
 * The padding makes the data start at a multiple of the device's page size, and of 2 MiB. The
 * struct pages of the reserve are never initialised; all of the range, info block included, has
 * some.
 */
@Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nvdimm_setup_pfn")
public final class PfnDevs {
  private static final long SZ_4K = 4096;
  private static final long SZ_8K = 8192;
  private static final int MAX_STRUCT_PAGE_SIZE = 64;
  private static final boolean PAGE_STRUCT_OVERRIDE = false;

  private final Mm mm;
  private final Printk printk;
  private final Memremap memremap;
  private final Bus.ThpSizes thp;

  PfnDevs(Mm mm, Memremap memremap, Bus.ThpSizes thp) {
    this.mm = mm;
    this.printk = mm.printk();
    this.memremap = memremap;
    this.thp = thp;
  }

  /** {@code nd_info_block_reserve()} in bytes. */
  @Kernel(file = "drivers/nvdimm/nd.h", symbol = "nd_info_block_reserve")
  long ndInfoBlockReserve() {
    return align(SZ_8K, mm.model().pageSize());
  }

  /** Writes a new device's {@code mode}: 0, or -EBUSY while it is bound. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "mode_store")
  int modeStore(NdPfn ndPfn, Mode mode) {
    if (ndPfn.dev.driver() != null) {
      return -Errno.EBUSY;
    }
    ndPfn.mode = mode;
    return 0;
  }

  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nd_pfn_supported_alignments")
  private long[] ndPfnSupportedAlignments() {
    long pageSize = mm.model().pageSize();
    if (!thp.pmd()) {
      return new long[] {pageSize};
    }
    long pmdSize = mm.pgtable().pmdSize();
    return thp.pud()
        ? new long[] {pageSize, pmdSize, mm.pgtable().pudSize()}
        : new long[] {pageSize, pmdSize};
  }

  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nd_pfn_default_alignment")
  private long ndPfnDefaultAlignment() {
    return thp.pmd() ? mm.pgtable().pmdSize() : mm.model().pageSize();
  }

  /** Writes a new device's {@code align}, in bytes: 0, -EINVAL, or -EBUSY while it is bound. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "align_store")
  int alignStore(NdPfn ndPfn, long val) {
    if (ndPfn.dev.driver() != null) {
      return -Errno.EBUSY;
    }
    if (!ndSupportedAlignment(val)) {
      return -Errno.EINVAL;
    }
    ndPfn.align = val;
    return 0;
  }

  /** Writes a new device's {@code uuid}: 0, or -EBUSY while it is bound. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "uuid_store")
  int uuidStore(NdPfn ndPfn, NdUuid uuid) {
    if (ndPfn.dev.driver() != null) {
      return -Errno.EBUSY;
    }
    ndPfn.uuid = uuid;
    return 0;
  }

  /**
   * Writes a new device's {@code namespace}: 0; -EBUSY while it is bound, has one, or the namespace
   * is claimed; -ENXIO below 16 MiB.
   */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "namespace_store")
  int namespaceStore(NdPfn ndPfn, NdNamespaceIo ndns) {
    if (ndPfn.dev.driver() != null || ndPfn.ndns != null) {
      return -Errno.EBUSY;
    }
    if (ndns.capacity() < 16L << 20) {
      return -Errno.ENXIO;
    }
    if (ndns.claim != null) {
      return -Errno.EBUSY;
    }
    ndns.claim = ndPfn.dev;
    ndPfn.ndns = ndns;
    return 0;
  }

  /** {@code nd_pfn_devinit()}: defaults of a device that has no namespace yet. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nd_pfn_devinit")
  NdPfn ndPfnDevinit(NdPfn ndPfn) {
    ndPfn.mode = Mode.PFN_MODE_NONE;
    ndPfn.align = ndPfnDefaultAlignment();
    return ndPfn;
  }

  @Kernel(
      file = "drivers/nvdimm/pfn_devs.c",
      symbol = "nd_pfn_clear_memmap_errors",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Simulated memory has no bad blocks; the namespace is enabled up to its data as in C.")
  private int ndPfnClearMemmapErrors(NdPfn ndPfn, NdPfnSb pfnSb, NdNamespaceIo ndns) {
    if (ndPfn.mode != Mode.PFN_MODE_PMEM) {
      return 0;
    }
    ndns.devmNsioDisable(ndPfn.dev);
    return ndns.devmNsioEnable(ndPfn.dev, pfnSb.dataoff());
  }

  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nd_supported_alignment")
  private boolean ndSupportedAlignment(long align) {
    for (long supported : ndPfnSupportedAlignments()) {
      if (align == supported) {
        return true;
      }
    }
    return false;
  }

  /**
   * {@code nd_pfn_validate()}: reads the info block and checks it against the device's settings.
   *
   * @return 0; -ENODEV when there is none, or one of another device; -ENXIO, -EOPNOTSUPP or -ENOMEM
   *     when there is one that cannot be used
   */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nd_pfn_validate")
  int ndPfnValidate(NdPfn ndPfn, String sig) {
    NdPfnSb pfnSb = ndPfn.pfnSb;
    NdNamespaceIo ndns = ndPfn.ndns;
    if (pfnSb == null || ndns == null) {
      return -Errno.ENODEV;
    }
    if (ndns.readBytes(SZ_4K, pfnSb.words()) != 0) {
      return -Errno.ENXIO;
    }
    if (!pfnSb.hasSignature(sig)
        || pfnSb.checksum() != pfnSb.sbChecksum()
        || !pfnSb.parentUuid().equals(NdUuid.NULL)) {
      return -Errno.ENODEV;
    }
    fillInOldVersions(pfnSb);
    if (pfnSb.mode() != Mode.PFN_MODE_RAM.number()
        && pfnSb.mode() != Mode.PFN_MODE_PMEM.number()) {
      return -Errno.ENXIO;
    }
    if (pfnSb.align() == 0) {
      // Blocks of version 1.1 and older do not say; the data's offset is all there is to go by.
      pfnSb.setAlign(Long.highestOneBit(pfnSb.dataoff()));
    }
    int rc = validateSizes(ndPfn, pfnSb, sig);
    if (rc == 0) {
      rc = validateSettings(ndPfn, pfnSb);
    }
    return rc != 0 ? rc : validatePlace(ndPfn, pfnSb, ndns);
  }

  private void fillInOldVersions(NdPfnSb pfnSb) {
    int minor = pfnSb.versionMinor();
    if (minor < 1) {
      pfnSb.setStartPad(0);
      pfnSb.setEndTrunc(0);
    }
    if (minor < 2) {
      pfnSb.setAlign(0);
    }
    if (minor < 4) {
      pfnSb.setPageStructSize(64);
      pfnSb.setPageSize(mm.model().pageSize());
    }
  }

  /** The checks of {@code nd_pfn_validate()} that compare the block with the kernel. */
  private int validateSizes(NdPfn ndPfn, NdPfnSb pfnSb, String sig) {
    boolean pmem = pfnSb.mode() == Mode.PFN_MODE_PMEM.number();
    if (pfnSb.pageSize() > mm.model().pageSize() && pmem) {
      return err(ndPfn, "init failed, page size mismatch " + pfnSb.pageSize());
    }
    if (pfnSb.pageStructSize() < mm.struct().size() && pmem) {
      return err(ndPfn, "init failed, struct page size mismatch " + pfnSb.pageStructSize());
    }
    if (!ndSupportedAlignment(pfnSb.align()) && sig.equals(NdPfnSb.DAX_SIG)) {
      return err(
          ndPfn,
          "init failed, alignment mismatch: %d:%d".formatted(ndPfn.align, pfnSb.align()));
    }
    return 0;
  }

  /** The checks of {@code nd_pfn_validate()} that compare the block with the device's files. */
  private int validateSettings(NdPfn ndPfn, NdPfnSb pfnSb) {
    if (ndPfn.uuid == null) {
      if (mm.mayFail("nd_pfn_validate")) {
        return -Errno.ENOMEM;
      }
      ndPfn.uuid = pfnSb.uuid();
      ndPfn.align = pfnSb.align();
      ndPfn.mode =
          pfnSb.mode() == Mode.PFN_MODE_RAM.number() ? Mode.PFN_MODE_RAM : Mode.PFN_MODE_PMEM;
      return 0;
    }
    if (!ndPfn.uuid.equals(pfnSb.uuid())) {
      return -Errno.ENODEV;
    }
    if (ndPfn.align != pfnSb.align() || ndPfn.mode.number() != pfnSb.mode()) {
      return err(ndPfn, "init failed, settings mismatch");
    }
    return 0;
  }

  /** The checks of {@code nd_pfn_validate()} that compare the block with the namespace. */
  private int validatePlace(NdPfn ndPfn, NdPfnSb pfnSb, NdNamespaceIo ndns) {
    Resource res = ndns.res();
    long align = pfnSb.align();
    long offset = pfnSb.dataoff();
    long compat = memremap.memremapCompatAlign();
    if (align > ndns.capacity()) {
      return err(
          ndPfn, "alignment: %x exceeds capacity %x".formatted(align, ndns.capacity()));
    }
    if (offset >= res.size()) {
      return err(ndPfn, "pfn array size exceeds capacity of " + ndns.dev().name());
    }
    if (!aligned(res.start + offset + pfnSb.startPad(), align)
        || !aligned(offset, mm.model().pageSize())) {
      return err(
          ndPfn, "bad offset: 0x%x dax disabled align: 0x%x".formatted(offset, align));
    }
    if (!aligned(res.start + pfnSb.startPad(), compat)) {
      return err(ndPfn, "resource start misaligned");
    }
    if (!aligned(res.end + 1 - pfnSb.endTrunc(), compat)) {
      return err(ndPfn, "resource end misaligned");
    }
    if (offset >= res.size() - pfnSb.startPad() - pfnSb.endTrunc()) {
      return err(ndPfn, "bad offset with small namespace");
    }
    return 0;
  }

  private int err(NdPfn ndPfn, String text) {
    printk.prErr(ndPfn.dev.name() + ": " + text);
    return -Errno.EOPNOTSUPP;
  }

  private long subsectionAlignDown(long pfn) {
    return pfn & -mm.mmzone().pagesPerSubsection();
  }

  /** {@code init_altmap_base()}: the pfn of {@code base}, rounded down to what hotplug can add. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "init_altmap_base")
  long initAltmapBase(long base) {
    return subsectionAlignDown(mm.model().physPfn(base));
  }

  /** {@code init_altmap_reserve()} in pages: the info block, and what rounding down added. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "init_altmap_reserve")
  long initAltmapReserve(long base) {
    long basePfn = mm.model().physPfn(base);
    long reserve = ndInfoBlockReserve() >>> mm.model().pageShift();
    return reserve + basePfn - subsectionAlignDown(basePfn);
  }

  /** {@code __nvdimm_setup_pfn()}: 0, -EINVAL when the data would overlap the block, or -ENXIO. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "__nvdimm_setup_pfn")
  int nvdimmSetupPfn0(NdPfn ndPfn, NdPfnSb pfnSb, NdNamespaceIo ndns, DevPagemap pgmap) {
    long offset = pfnSb.dataoff();
    long reserve = ndInfoBlockReserve();
    long base = ndns.res().start + pfnSb.startPad();
    long end = ndns.res().end - pfnSb.endTrunc();
    Range range = new Range(base, end);
    pgmap.ranges = new Range[] {range};
    pgmap.nrRange = 1;
    if (ndPfn.mode == Mode.PFN_MODE_RAM) {
      if (offset < reserve) {
        return -Errno.EINVAL;
      }
      ndPfn.npfns = pfnSb.npfns();
      return 0;
    }
    if (ndPfn.mode != Mode.PFN_MODE_PMEM) {
      return -Errno.ENXIO;
    }
    ndPfn.npfns = mm.model().physPfn(range.len() - offset);
    if (pfnSb.npfns() > ndPfn.npfns) {
      printk.prInfo(
          "%s: number of pfns truncated from %d to %d"
              .formatted(ndPfn.dev.name(), pfnSb.npfns(), ndPfn.npfns));
    }
    VmemAltmap altmap = pgmap.altmap;
    altmap.basePfn = initAltmapBase(base);
    altmap.reserve = initAltmapReserve(base);
    altmap.endPfn = mm.model().physPfn(end);
    altmap.free = mm.model().physPfn(offset - reserve);
    altmap.align = 0;
    altmap.alloc = 0;
    pgmap.altmapValid = true;
    return 0;
  }

  /** {@code nd_pfn_init()}: makes an info block, unless there is one that fits. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nd_pfn_init")
  private int ndPfnInit(NdPfn ndPfn, NdNamespaceIo ndns) {
    if (mm.mayFail("nd_pfn_init")) {
      return -Errno.ENOMEM;
    }
    NdPfnSb pfnSb = new NdPfnSb();
    ndPfn.pfnSb = pfnSb;
    String sig = ndPfn.isNdDax ? NdPfnSb.DAX_SIG : NdPfnSb.PFN_SIG;
    int rc = ndPfnValidate(ndPfn, sig);
    if (rc == 0) {
      return ndPfnClearMemmapErrors(ndPfn, pfnSb, ndns);
    }
    if (rc != -Errno.ENODEV) {
      return rc;
    }
    java.util.Arrays.fill(pfnSb.words(), 0);
    rc = placeData(ndPfn, ndns, pfnSb);
    if (rc != 0) {
      return rc;
    }
    pfnSb.setSignature(sig);
    pfnSb.setUuid(ndPfn.uuid == null ? NdUuid.NULL : ndPfn.uuid);
    pfnSb.setParentUuid(NdUuid.NULL);
    pfnSb.setVersion(1, 4);
    pfnSb.setPageStructSize(MAX_STRUCT_PAGE_SIZE);
    pfnSb.setPageSize(mm.model().pageSize());
    pfnSb.setChecksum(pfnSb.sbChecksum());
    rc = ndPfnClearMemmapErrors(ndPfn, pfnSb, ndns);
    return rc != 0 ? rc : ndns.writeBytes(SZ_4K, pfnSb.words());
  }

  /** The arithmetic of {@code nd_pfn_init()}: where the data starts, and how much there is. */
  private int placeData(NdPfn ndPfn, NdNamespaceIo ndns, NdPfnSb pfnSb) {
    long start = ndns.res().start;
    long size = ndns.res().size();
    long compat = memremap.memremapCompatAlign();
    long align = Math.max(ndPfn.align, compat);
    if (!aligned(start, compat)) {
      printk.prErr(
          "%s: %s: start 0x%x misaligned to 0x%x"
              .formatted(ndPfn.dev.name(), ndns.dev().name(), start, compat));
      return -Errno.EINVAL;
    }
    long endTrunc = start + size - ((start + size) & -align);
    long offset;
    if (ndPfn.mode == Mode.PFN_MODE_PMEM) {
      long pageMapSize = pageMapSize(ndPfn, mm.model().physPfn(size - SZ_8K));
      if (pageMapSize < 0) {
        return (int) pageMapSize;
      }
      offset = align(start + SZ_8K + pageMapSize, align) - start;
    } else if (ndPfn.mode == Mode.PFN_MODE_RAM) {
      offset = align(start + SZ_8K, align) - start;
    } else {
      return -Errno.ENXIO;
    }
    if (offset >= size - endTrunc) {
      printk.prErr(
          "%s: %s unable to satisfy requested alignment"
              .formatted(ndPfn.dev.name(), ndns.dev().name()));
      return -Errno.ENXIO;
    }
    pfnSb.setMode(ndPfn.mode.number());
    pfnSb.setDataoff(offset);
    pfnSb.setNpfns(mm.model().physPfn(size - offset - endTrunc));
    pfnSb.setEndTrunc(endTrunc);
    pfnSb.setAlign(ndPfn.align);
    return 0;
  }

  /**
   * Bytes set aside for the struct pages of {@code npfns} pages. Always 64 each, so that another
   * kernel with smaller ones can use the same block; -EINVAL when they are larger.
   */
  private long pageMapSize(NdPfn ndPfn, long npfns) {
    if (mm.struct().size() > MAX_STRUCT_PAGE_SIZE && !PAGE_STRUCT_OVERRIDE) {
      printk.prErr(
          ndPfn.dev.name() + ": Memory debug options prevent using pmem for the page map");
      return -Errno.EINVAL;
    }
    return MAX_STRUCT_PAGE_SIZE * npfns;
  }

  /** {@code nvdimm_setup_pfn()}: fills in range and altmap of {@code pgmap}; 0 or an error. */
  @Kernel(file = "drivers/nvdimm/pfn_devs.c", symbol = "nvdimm_setup_pfn")
  int nvdimmSetupPfn(NdPfn ndPfn, DevPagemap pgmap) {
    NdNamespaceIo ndns = ndPfn.ndns;
    if (ndPfn.uuid == null || ndns == null) {
      return -Errno.ENODEV;
    }
    int rc = ndPfnInit(ndPfn, ndns);
    if (rc != 0) {
      return rc;
    }
    @Nullable NdPfnSb pfnSb = ndPfn.pfnSb;
    return nvdimmSetupPfn0(ndPfn, java.util.Objects.requireNonNull(pfnSb), ndns, pgmap);
  }

  private static long align(long value, long align) {
    return (value + align - 1) & -align;
  }

  private static boolean aligned(long value, long align) {
    return (value & (align - 1)) == 0;
  }
}
