// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.HashMap;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.HugetlbBootHooks;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The part of mm/hugetlb.c that fills the pools at boot.
 *
 * <pre>
 *   zones known       hugetlb_bootmem_alloc()              gigantic pages from memblock
 *   memmap mapped     hugetlb_vmemmap_init_early()         their memmap, optimised
 *   memmap filled,    hugetlb_bootmem_struct_page_init()   tails, then into the pools
 *   late
 *   subsys initcall   hugetlb_init()                       smaller pages from the page allocator
 * </pre>
 *
 * The buddy allocator cannot give a gigantic page, so those are taken before it exists. Until there
 * are struct pages, each is described in its own first bytes ({@link HugeBootmemPage}).
 */
@Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_init")
public final class HugetlbBootmem implements HugetlbBootHooks {
  private static final long REFCOUNT_0_MAPCOUNT_NONE = 0xffff_ffffL;

  private final Mm mm;
  private final Lists lists;
  private final Memblock memblock;
  private final PageAlloc pageAlloc;
  private final MmInit mmInit;
  private final HugetlbArch arch;
  private final HugetlbCma cma;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final HugetlbInternal internal;
  private final HugetlbVmemmap vmemmap;
  private final HugetlbParams params;
  private final Hugetlb hugetlb;
  private final NavigableSet<Integer> hugetlbBootmemNodes = new TreeSet<>();
  private final Map<Hstate, Long> hstateBootNrinvalid = new HashMap<>();

  /** What boot needs: the memory it takes pages from, and the parts of HugeTLB. */
  public HugetlbBootmem(
      Mm mm,
      Memblock memblock,
      PageAlloc pageAlloc,
      MmInit mmInit,
      HugetlbArch arch,
      HugetlbCma cma,
      Hstates hstates,
      HugetlbFolios folios,
      HugetlbInternal internal,
      HugetlbVmemmap vmemmap,
      HugetlbParams params,
      Hugetlb hugetlb) {
    this.mm = mm;
    this.lists = mm.lists();
    this.memblock = memblock;
    this.pageAlloc = pageAlloc;
    this.mmInit = mmInit;
    this.arch = arch;
    this.cma = cma;
    this.hstates = hstates;
    this.folios = folios;
    this.internal = internal;
    this.vmemmap = vmemmap;
    this.params = params;
    this.hugetlb = hugetlb;
    vmemmap.setBootmem(this);
  }

  // ---------------------------------------------------------------- gigantic pages: memory

  /** Linear address of memory for one page, 0 for none. */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_bootmem")
  private long allocBootmem(Hstate h, int nid, boolean nodeExact) {
    if (cma.hugetlbEarlyCma(h)) {
      return cma.hugetlbCmaAllocBootmem(h, nid, nodeExact);
    }
    return memblock.memblockAllocHugetlb(h.hugePageSize(), nid, nodeExact);
  }

  /** {@code __alloc_bootmem_huge_page()}; without a node from the one whose turn it is, or any. */
  @Kernel(file = "mm/hugetlb.c", symbol = "__alloc_bootmem_huge_page")
  private long allocBootmemHugePage0(Hstate h, int nid) {
    if (nid != HugetlbInternal.NUMA_NO_NODE) {
      return allocBootmem(h, nid, true);
    }
    if (hugetlbBootmemNodes.isEmpty()) {
      return 0;
    }
    int node = internal.hstateNextNodeToAlloc(h.nextNidToAlloc, hugetlbBootmemNodes);
    return allocBootmem(h, node, false);
  }

  /** Takes one gigantic page and puts it on its node's list. False when there is no memory. */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_bootmem_huge_page", patches = {15})
  private boolean allocBootmemHugePage(Hstate h, int nid) {
    int nidRequest = nid;
    long va = allocBootmemHugePage0(h, nid);
    if (va == 0) {
      return false;
    }
    HugeBootmemPage m = new HugeBootmemPage(va);
    long pfn = mm.model().physPfn(mm.model().pa(va));
    nid = mmInit.earlyPfnToNid(pfn);
    mm.own(pfn, h.pagesPerHugePage(), Owner.HUGEPAGE);

    lists.initListHead(m.list());
    hstates.setHstate(m, h);
    hstates.setFlags(m, cma.hugetlbEarlyCma(h) ? HugeBootmemPage.HUGE_BOOTMEM_CMA : 0);

    if (!mm.series().freesCrossZonePagesEarly()) {
      lists.listAdd(m.list(), hstates.hugeBootPages(nid));
      markNoinit(h, va);
      return true;
    }
    // One struct page says one zone, so a folio may not lie in two. It is kept until all are
    // allocated, or the next search would find it again.
    if (!cma.hugetlbEarlyCma(h)
        && mmInit.pfnRangeIntersectsZones(nid, pfn, h.pagesPerHugePage())) {
      boolean elsewhere = nidRequest != HugetlbInternal.NUMA_NO_NODE && nid != nidRequest;
      mm.printk()
          .warnOnOnce(
              elsewhere,
              "alloc_bootmem_huge_page: nid_request != NUMA_NO_NODE && nid != nid_request");
      lists.listAdd(m.list(), hstates.hugeBootPages(elsewhere ? nidRequest : nid));
    } else {
      lists.listAddTail(m.list(), hstates.hugeBootPages(nid));
      hstates.setFlags(m, hstates.flags(m) | HugeBootmemPage.HUGE_BOOTMEM_ZONES_VALID);
      markNoinit(h, va);
      vmemmap.markBootmemPage(m);
    }
    return true;
  }

  /**
   * The tails' descriptors may be shared later, so nobody but HugeTLB may write to them. The head's
   * is wanted: it tells zone and node.
   */
  private void markNoinit(Hstate h, long va) {
    long pageSize = mm.model().pageSize();
    memblock.memblockReservedMarkNoinit(
        mm.model().pa(va) + pageSize, h.hugePageSize() - pageSize);
  }

  /**
   * {@code hugetlb_bootmem_page_zones_valid()}, before patch 15: asked when zones are known, and
   * counts the pages that are no good.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_page_zones_valid", patches = {14, 15, 16})
  boolean hugetlbBootmemPageZonesValid(int nid, HugeBootmemPage m) {
    if ((hstates.flags(m) & HugeBootmemPage.HUGE_BOOTMEM_ZONES_VALID) != 0) {
      return true;
    }
    long startPfn = mm.model().physPfn(mm.model().pa(m.va()));
    Hstate h = hstates.hstate(m);
    boolean valid =
        hugetlbBootmemPageEarlycma(m)
            ? cma.cmaValidateZones(m.va())
            : !mmInit.pfnRangeIntersectsZones(nid, startPfn, h.pagesPerHugePage());
    if (!valid) {
      hstateBootNrinvalid.merge(h, 1L, Long::sum);
    }
    return valid;
  }

  /** {@code memblock_phys_free()} for a page that the late hook takes off its list. */
  void giveBack(HugeBootmemPage m) {
    lists.listDel(m.list());
    memblock.memblockFree(m.va(), hstates.hstate(m).hugePageSize());
  }

  /**
   * Gives an unusable page to the page allocator. It lies in several zones, so one base page goes
   * after the other, each with its descriptor initialised first.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_free_invalid_page", patches = {15, 16})
  private void hugetlbBootmemFreeInvalidPage(int nid, Page page, Hstate h) {
    long pfn = mm.model().pageToPfn(page);
    for (long npages = h.pagesPerHugePage(); npages > 0; npages--) {
      mmInit.initPageFromNid(pfn, nid);
      pageAlloc.freeReservedPage(mm.model().pfnToPage(pfn));
      pfn++;
    }
  }

  // ---------------------------------------------------------------- gigantic pages: descriptors

  /** Initialises the descriptors {@code [startPageNumber, endPageNumber)} of the folio as tails. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_folio_init_tail_vmemmap")
  private void hugetlbFolioInitTailVmemmap(
      Folio folio, Hstate h, long startPageNumber, long endPageNumber) {
    ZoneType zone = mm.inline().pageZonenum(folio.page());
    int nid = mm.inline().folioNid(folio);
    Page page = mm.flags().folioPage(folio, startPageNumber);
    Page end = mm.flags().folioPage(folio, endPageNumber);
    long headPfn = folios.folioPfn(folio);
    int order = h.hugePageOrder();
    if (mm.model().pageSize() % mm.struct().size() == 0) {
      initTailRuns(page, end, zone, nid, mm.flags().compoundInfo(folio.page(), order));
      return;
    }
    for (long pfn = headPfn + startPageNumber; pfn < headPfn + endPageNumber; pfn++) {
      mmInit.initSinglePage(page, pfn, zone, nid);
      mm.inline().prepCompoundTail(page, folio.page(), order);
      mm.refs().setPageCount(page, 0);
      page = mm.struct().add(page, 1);
    }
  }

  /**
   * The loop over the tails with one translation for each page of memmap: tails differ only in the
   * pointer to themselves that list initialisation leaves in word 2.
   */
  private void initTailRuns(Page page, Page end, ZoneType zone, int nid, long compoundInfo) {
    int size = mm.struct().size();
    long[] words = new long[size / Long.BYTES];
    words[0] = mm.inline().initialFlags(zone, nid);
    words[1] = compoundInfo;
    words[2] = mm.struct().lru(page).va();
    words[3] = mm.flags().tailMapping();
    words[6] = REFCOUNT_0_MAPCOUNT_NONE;
    long[] step = new long[words.length];
    step[2] = size;
    long pageSize = mm.model().pageSize();
    for (long va = page.va(), next; va != end.va(); va = next) {
      next = Math.min(end.va(), (va & -pageSize) + pageSize);
      long paddr = mm.machine().cpu().translate(va, true);
      mm.machine().memory().setRecords(paddr, (int) ((next - va) / size), words, step);
    }
  }

  /** Makes the head and the first {@code nrPages} descriptors a frozen compound page. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_folio_init_vmemmap")
  private void hugetlbFolioInitVmemmap(Folio folio, Hstate h, long nrPages) {
    mm.flags().clear(folio.page(), PageFlags.PG_RESERVED);
    mm.flags().set(folio.page(), PageFlags.PG_HEAD);
    boolean ret = mm.refs().pageRefFreeze(folio.page(), 1);
    mm.printk().vmBugOn(!ret, "hugetlb_folio_init_vmemmap: !folio_ref_freeze(folio, 1)");
    hugetlbFolioInitTailVmemmap(folio, h, 1, nrPages);
    mm.inline().prepCompoundHead(folio.page(), h.hugePageOrder());
  }

  /** True when {@link HugetlbVmemmap#hugetlbVmemmapInitEarly} mapped the page's memmap. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_page_prehvo", patches = {31})
  private boolean hugetlbBootmemPagePrehvo(HugeBootmemPage m) {
    if (mm.series().optimizesHugetlbBySection()) {
      long pfn = mm.model().physPfn(mm.model().pa(m.va()));
      return mm.mmzone().vmemmapOptimizableOrder(mm.mmzone().pfnToSectionOrder(pfn));
    }
    return (hstates.flags(m) & HugeBootmemPage.HUGE_BOOTMEM_HVO) != 0;
  }

  /** True when the page lies in a CMA area, which counts its pages itself. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_page_earlycma")
  private boolean hugetlbBootmemPageEarlycma(HugeBootmemPage m) {
    return (hstates.flags(m) & HugeBootmemPage.HUGE_BOOTMEM_CMA) != 0;
  }

  /** Sets the type of the page blocks, which skipped the usual way with the descriptors. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_init_migratetype")
  private void hugetlbBootmemInitMigratetype(Folio folio, Hstate h) {
    long step = mm.mmzone().pageblockNrPages();
    mm.printk()
        .warnOnOnce(
            (folios.folioPfn(folio) & (step - 1)) != 0,
            "hugetlb_bootmem_init_migratetype: !pageblock_aligned(folio_pfn(folio))");
    for (long i = 0; i < h.pagesPerHugePage(); i += step) {
      if (folios.test(folio, HugetlbPageFlag.HPG_CMA)) {
        mmInit.initCmaPageblock(mm.flags().folioPage(folio, i));
      } else {
        pageAlloc.initPageblockMigratetype(
            mm.flags().folioPage(folio, i), Migratetype.MIGRATE_MOVABLE, false);
      }
    }
  }

  /**
   * Optimises boot pages of one size and enqueues them. Only the first page of memmap was
   * initialised so far. The rest is either shared by now, or must be initialised here, because
   * memblock was told to leave it out.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "prep_and_add_bootmem_folios")
  private void prepAndAddBootmemFolios(Hstate h, ListHead folioList) {
    vmemmap.hugetlbVmemmapOptimizeBootmemFolios(h, folioList);
    for (ListHead at = lists.first(folioList), next; !at.equals(folioList); at = next) {
      next = lists.next(at);
      Folio folio = new Folio(mm.struct().ofLru(at));
      if (!folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
        hugetlbFolioInitTailVmemmap(
            folio, h, vmemmap.hugetlbVmemmapReservePages(), h.pagesPerHugePage());
      }
      hugetlbBootmemInitMigratetype(folio, h);
      hugetlb.hugetlbLock().lock();
      hugetlb.accountNewHugetlbFolio(h, folio);
      hugetlb.enqueueHugetlbFolio(h, folio);
      hugetlb.hugetlbLock().unlock();
    }
  }

  /** Brings the node's boot pages into their pools, one run of equal sizes after the other. */
  @Kernel(file = "mm/hugetlb.c", symbol = "gather_bootmem_prealloc_node", patches = {15, 16})
  private void gatherBootmemPreallocNode(int nid) {
    ListHead pages = hstates.hugeBootPages(nid);
    ListHead folioList = lists.localHead();
    Hstate prevH = null;
    for (ListHead at = lists.first(pages), next; !at.equals(pages); at = next) {
      next = lists.next(at);
      HugeBootmemPage m = HugeBootmemPage.of(at);
      Hstate h = hstates.hstate(m);
      if (!mm.series().freesCrossZonePagesEarly() && !hugetlbBootmemPageZonesValid(nid, m)) {
        hugetlbBootmemFreeInvalidPage(nid, mm.model().virtToPage(m.va()), h);
        continue;
      }
      if (prevH != null && h != prevH) {
        prepAndAddBootmemFolios(prevH, folioList);
      }
      prevH = h;
      gatherPage(h, m, folioList);
    }
    if (prevH != null) {
      prepAndAddBootmemFolios(prevH, folioList);
    }
    lists.release(folioList);
  }

  /** The loop body of gather_bootmem_prealloc_node(). */
  private void gatherPage(Hstate h, HugeBootmemPage m, ListHead folioList) {
    Page page = mm.model().virtToPage(m.va());
    Folio folio = new Folio(page);
    mm.printk().vmBugOn(!h.isGigantic(), "gather_bootmem_prealloc_node: !hstate_is_gigantic(h)");
    mm.printk()
        .warnOn(
            mm.refs().folioRefCount(folio) != 1,
            "gather_bootmem_prealloc_node: folio_ref_count(folio) != 1");

    hugetlbFolioInitVmemmap(folio, h, vmemmap.hugetlbVmemmapReservePages());
    hugetlb.initNewHugetlbFolio(folio);
    if (hugetlbBootmemPagePrehvo(m)) {
      folios.set(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    }
    if (hugetlbBootmemPageEarlycma(m)) {
      folios.set(folio, HugetlbPageFlag.HPG_CMA);
    }
    lists.listAdd(mm.struct().lru(page), folioList);
    // They were reserved, so nobody has counted them as managed yet.
    if (!folios.test(folio, HugetlbPageFlag.HPG_CMA)) {
      pageAlloc.adjustManagedPageCount(page, h.pagesPerHugePage());
    }
  }

  /**
   * {@code hugetlb_bootmem_struct_page_init()}: descriptors for all boot pages. The memmap is
   * initialised. Shared tails that were mapped before hold whatever initialisation left in them, so
   * they are written again first. Kernels before 7.2 do both later, in two initcalls.
   */
  @Override
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_struct_page_init", patches = {23, 24})
  public void hugetlbBootmemStructPageInit() {
    initSharedTails();
    gatherBootmemPrealloc();
  }

  /** Fills the shared tails that boot has mapped. */
  void initSharedTails() {
    for (PgData pgdat : mm.nodes().online()) {
      for (Zone zone : pgdat.zones()) {
        for (int i = 0; i < zone.vmemmapTails.length; i++) {
          initSharedTail(zone, i);
        }
      }
    }
  }

  /** Brings the boot pages of all nodes into their pools. */
  private void gatherBootmemPrealloc() {
    for (PgData pgdat : mm.nodes().online()) {
      gatherBootmemPreallocNode(pgdat.nodeId());
    }
  }

  /**
   * Fills one shared tail. Its reference counts stay as initialisation left them: they are not
   * among what makes a tail, and captured kernels show them.
   */
  private void initSharedTail(Zone zone, int i) {
    Page tail = zone.vmemmapTails[i];
    if (tail == null || mm.series().initsSharedTailOnAllocation()) {
      return;
    }
    int order = i + mm.mmzone().vmemmapTailMinOrder();
    Page p = new Page(mm.model().pageAddress(tail));
    for (int j = 0; j < mm.model().pageSize() / mm.struct().size(); j++) {
      mm.inline().initCompoundTail(mm.struct().add(p, j), null, order, zone);
    }
  }

  // ---------------------------------------------------------------- how many

  /** Gives back the node's pages that lie in two zones: they are first on its list. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_free_cross_zone_pages", patches = {15})
  private long hugetlbFreeCrossZonePages(Hstate h, int nid) {
    long freed = 0;
    if (!h.isGigantic() || !mm.series().freesCrossZonePagesEarly()) {
      return freed;
    }
    ListHead pages = hstates.hugeBootPages(nid);
    for (ListHead at = lists.first(pages), next; !at.equals(pages); at = next) {
      next = lists.next(at);
      HugeBootmemPage m = HugeBootmemPage.of(at);
      if ((hstates.flags(m) & HugeBootmemPage.HUGE_BOOTMEM_ZONES_VALID) != 0) {
        break;
      }
      lists.listDel(at);
      memblock.memblockFree(m.va(), h.hugePageSize());
      freed++;
    }
    if (freed != 0) {
      mm.printk()
          .prWarn(
              "HugeTLB: freed " + freed + " cross-zone hugepages of size " + sizeOf(h)
                  + " on node " + nid + ".");
    }
    return freed;
  }

  /** Fills the pool of one node, which the command line named. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_hstate_alloc_pages_onenode")
  private void hugetlbHstateAllocPagesOnenode(Hstate h, int nid) {
    ListHead folioList = lists.localHead();
    long wanted = Integer.toUnsignedLong(h.maxHugePagesNode[nid]);
    long i;
    for (i = 0; i < wanted; i++) {
      if (!(h.isGigantic() ? allocBootmemHugePage(h, nid) : allocOnNode(h, nid, folioList))) {
        break;
      }
    }
    i -= hugetlbFreeCrossZonePages(h, nid);
    if (!lists.listEmpty(folioList)) {
      hugetlb.prepAndAddAllocatedFolios(h, folioList);
    }
    lists.release(folioList);
    if (i == wanted) {
      return;
    }
    mm.printk()
        .prWarn(
            "HugeTLB: allocating " + wanted + " of page size " + sizeOf(h) + " failed node" + nid
                + ".  Only allocated " + i + " hugepages.");
    h.addMaxHugePages(-(wanted - i));
    h.maxHugePagesNode[nid] = (int) i;
  }

  /** One page from the node's page allocator. Optimising the others may give memory for it. */
  private boolean allocOnNode(Hstate h, int nid, ListHead folioList) {
    Folio folio = allocFresh(h, nid);
    if (folio == null
        && !lists.listEmpty(folioList)
        && vmemmap.hugetlbVmemmapOptimizableSize(h) != 0) {
      hugetlb.prepAndAddAllocatedFolios(h, folioList);
      lists.initListHead(folioList);
      folio = allocFresh(h, nid);
    }
    if (folio == null) {
      return false;
    }
    lists.listAdd(mm.struct().lru(folio.page()), folioList);
    return true;
  }

  /** {@code only_alloc_fresh_hugetlb_folio()} on exactly this node. */
  private @Nullable Folio allocFresh(Hstate h, int nid) {
    return hugetlb.onlyAllocFreshHugetlbFolio(
        h,
        hugetlb.htlbAllocMask(h).or(Gfp.THISNODE),
        nid,
        internal.nodeStatesMemory(),
        null);
  }

  /** True when the command line named nodes; their pools are filled then. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_hstate_alloc_pages_specific_nodes")
  private boolean hugetlbHstateAllocPagesSpecificNodes(Hstate h) {
    boolean nodeSpecificAlloc = false;
    for (int i : internal.nodeOnlineMap()) {
      if (h.maxHugePagesNode[i] != 0) {
        hugetlbHstateAllocPagesOnenode(h, i);
        nodeSpecificAlloc = true;
      }
    }
    return nodeSpecificAlloc;
  }

  /** Says that there are fewer pages than asked for, and asks for no more from now on. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_hstate_alloc_pages_errcheck")
  private void hugetlbHstateAllocPagesErrcheck(long allocated, Hstate h) {
    if (Long.compareUnsigned(allocated, h.maxHugePages) < 0) {
      mm.printk()
          .prWarn(
              "HugeTLB: allocating " + Long.toUnsignedString(h.maxHugePages) + " of page size "
                  + sizeOf(h) + " failed.  Only allocated " + allocated + " hugepages.");
      h.maxHugePages = allocated;
    }
  }

  /**
   * Allocates up to {@code nr} pages round the nodes and puts them into the pool. The kernel counts
   * in an int, so the upper half of {@code nr} is lost, and a negative rest is none at all.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_pages_alloc_boot_node")
  private void hugetlbPagesAllocBootNode(long nr, Hstate h) {
    int num = (int) nr;
    Set<Integer> nodeAllocNoretry = new TreeSet<>();
    NextNode nextNode = new NextNode(internal.firstNode(internal.nodeOnlineMap()));
    NavigableSet<Integer> nodes = internal.nodeStatesMemory();
    ListHead folioList = lists.localHead();
    for (int i = 0; i < num; i++) {
      if (vmemmap.hugetlbVmemmapOptimizableSize(h) != 0
          && siMemAvailable() == 0
          && !lists.listEmpty(folioList)) {
        hugetlb.prepAndAddAllocatedFolios(h, folioList);
        lists.initListHead(folioList);
      }
      Folio folio = hugetlb.allocPoolHugeFolio(h, nodes, nodeAllocNoretry, nextNode);
      if (folio == null) {
        break;
      }
      lists.listMove(mm.struct().lru(folio.page()), folioList);
    }
    hugetlb.prepAndAddAllocatedFolios(h, folioList);
    lists.release(folioList);
  }

  /**
   * Base pages that user memory could get, to know when folios in hand should be optimised for the
   * memory that this gives: 0 when nothing is left but the reserve of the zones.
   */
  @Kernel(
      file = "mm/show_mem.c",
      symbol = "si_mem_available",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "There is no page cache and no slab to reclaim.")
  private long siMemAvailable() {
    long available = -pageAlloc.totalreservePages();
    for (PgData pgdat : mm.nodes().online()) {
      for (Zone zone : pgdat.zones()) {
        available += zone.nrFreePages;
      }
    }
    return Math.max(available, 0);
  }

  /** All gigantic pages of the size, round the nodes; returns how many can be used. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_gigantic_pages_alloc_boot")
  private long hugetlbGiganticPagesAllocBoot(Hstate h) {
    long i = 0;
    while (Long.compareUnsigned(i, h.maxHugePages) < 0
        && allocBootmemHugePage(h, HugetlbInternal.NUMA_NO_NODE)) {
      i++;
    }
    for (int nid : internal.nodeOnlineMap()) {
      i -= hugetlbFreeCrossZonePages(h, nid);
    }
    return i;
  }

  /** All smaller pages of the size; returns how many the pool has then. */
  @Kernel(
      file = "mm/hugetlb.c",
      symbol = "hugetlb_pages_alloc_boot",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "One worker does it all, at once: padata's threads and the clock are not modelled.")
  private long hugetlbPagesAllocBoot(Hstate h) {
    if (params.hugepageAllocationThreads == 0) {
      params.hugepageAllocationThreads = Math.max(mm.machine().cpus().size() / 4, 1);
    }
    long remaining;
    do {
      remaining = h.maxHugePages - h.nrHugePages;
      hugetlbPagesAllocBootNode(remaining, h);
      if (h.nrHugePages == h.maxHugePages) {
        break;
      }
      // Another round only makes sense if optimising has given memory back.
      if (!vmemmap.hugetlbVmemmapOptimizable(h)) {
        break;
      }
    } while (remaining != h.maxHugePages - h.nrHugePages);
    mm.printk()
        .prInfo(
            "HugeTLB: allocation took 0ms with hugepage_allocation_threads="
                + params.hugepageAllocationThreads);
    return h.nrHugePages;
  }

  /** Fills one pool: a gigantic size before, another after the page allocator is up. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_hstate_alloc_pages")
  private void hugetlbHstateAllocPages(Hstate h) {
    if (h.isGigantic() && cma.hugetlbCmaTotalSize() != 0 && !cma.hugetlbEarlyCma(h)) {
      mm.printk()
          .prWarnOnce(
              "hugetlb_hstate_alloc_pages",
              "HugeTLB: hugetlb_cma is enabled, skip boot time allocation");
      return;
    }
    if (h.maxHugePages == 0) {
      return;
    }
    if (hugetlbHstateAllocPagesSpecificNodes(h)) {
      return;
    }
    long allocated =
        h.isGigantic() ? hugetlbGiganticPagesAllocBoot(h) : hugetlbPagesAllocBoot(h);
    hugetlbHstateAllocPagesErrcheck(allocated, h);
  }

  // ---------------------------------------------------------------- initcalls

  /**
   * Allocates the smaller pages, and finds out what each size can be broken into: the largest size
   * below it. All rounds over the nodes start again at the first one with memory.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_init_hstates")
  private void hugetlbInitHstates() {
    int hugetlbPageOrder = orderOf(arch.hpageSize());
    for (Hstate h : hstates.all()) {
      int firstMemoryNode = internal.firstNode(internal.nodeStatesMemory());
      h.nextNidToAlloc.nid = firstMemoryNode;
      h.nextNidToFree.nid = firstMemoryNode;
      if (!h.isGigantic()) {
        hugetlbHstateAllocPages(h);
      }
      if (internal.hstateIsGiganticNoRuntime(h)) {
        continue;
      }
      if (cma.hugetlbCmaTotalSize() != 0 && h.hugePageOrder() <= hugetlbPageOrder) {
        continue;
      }
      for (Hstate h2 : hstates.all()) {
        if (h2.hugePageOrder() < h.hugePageOrder() && h2.hugePageOrder() > h.demoteOrder) {
          h.demoteOrder = h2.hugePageOrder();
        }
      }
    }
  }

  /** The two lines of the boot log for each size. */
  @Kernel(file = "mm/hugetlb.c", symbol = "report_hugepages")
  private void reportHugepages() {
    for (Hstate h : hstates.all()) {
      String buf = sizeOf(h);
      long nrinvalid = hstateBootNrinvalid.getOrDefault(h, 0L);
      h.addMaxHugePages(-nrinvalid);
      mm.printk()
          .prInfo(
              "HugeTLB: registered " + buf + " page size, pre-allocated " + h.nrHugePages
                  + " pages");
      if (nrinvalid != 0) {
        mm.printk()
            .prInfo(
                "HugeTLB: " + buf + " page size: " + nrinvalid + " invalid page"
                    + (nrinvalid == 1 ? "" : "s") + " discarded");
      }
      mm.printk()
          .prInfo(
              "HugeTLB: " + vmemmap.hugetlbVmemmapOptimizableSize(h) / 1024
                  + " KiB vmemmap can be freed for a " + buf + " page");
    }
  }

  /** {@code gigantic_pages_init()} and its like: the architecture's initcall for its sizes. */
  @Kernel(file = "arch/x86/mm/hugetlbpage.c", symbol = "gigantic_pages_init")
  public void giganticPagesInit() {
    for (long size : arch.initcallSizes()) {
      hstates.hugetlbAddHstate(orderOf(size));
    }
  }

  /** {@code hugetlb_init()}, a subsys initcall: the default size, and all pages that fit buddy. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_init")
  public void hugetlbInit() {
    if (!params.hugepagesSupported()) {
      if (hstates.hugetlbMaxHstate() != 0 || params.defaultHstateMaxHugePages != 0) {
        mm.printk()
            .prWarn(
                "HugeTLB: huge pages not supported, ignoring associated command-line parameters");
      }
      return;
    }
    hstates.hugetlbAddHstate(orderOf(arch.hpageSize()));
    if (!params.parsedDefaultHugepagesz) {
      hstates.defaultHstateIdx = hstates.indexOfSize(arch.hpageSize());
      adoptImplicitWish(hstates.defaultHstate());
    }
    hugetlbInitHstates();
    if (!mm.series().initsBootFoliosEarly()) {
      gatherBootmemPrealloc();
    }
    reportHugepages();
  }

  /** A hugepages= before any size wins over one that named the default size. */
  private void adoptImplicitWish(Hstate h) {
    if (params.defaultHstateMaxHugePages == 0) {
      return;
    }
    if (h.maxHugePages != 0) {
      mm.printk()
          .prWarn(
              "HugeTLB: Ignoring hugepages=" + h.maxHugePages + " associated with " + sizeOf(h)
                  + " page size");
      mm.printk()
          .prWarn(
              "HugeTLB: Using hugepages=" + params.defaultHstateMaxHugePages
                  + " for number of default huge pages");
    }
    h.maxHugePages = params.defaultHstateMaxHugePages;
    for (int i : internal.nodeOnlineMap()) {
      h.maxHugePagesNode[i] = params.defaultHugepagesInNode[i];
    }
  }

  /** {@code hugetlb_bootmem_set_nodes()}: the nodes to go round, those with memory. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_set_nodes")
  public void hugetlbBootmemSetNodes() {
    if (!hugetlbBootmemNodes.isEmpty()) {
      return;
    }
    memblock
        .memPfnRanges(Memblock.NUMA_NO_NODE)
        .forEach(range -> hugetlbBootmemNodes.add(range.nid()));
  }

  /** {@code hugetlb_bootmem_alloc()}: reads the command line, then takes all gigantic pages. */
  @Override
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_alloc", patches = {11})
  public void hugetlbBootmemAlloc() {
    hugetlbBootmemSetNodes();
    params.hugetlbParseParams();
    for (Hstate h : hstates.all()) {
      h.nextNidToAlloc.nid = internal.firstNode(internal.nodeOnlineMap());
      if (h.isGigantic()) {
        hugetlbHstateAllocPages(h);
      }
    }
  }

  /** {@code hugetlb_cma_reserve()}. */
  @Override
  public void hugetlbCmaReserve() {
    cma.hugetlbCmaReserve(
        () -> {
          hugetlbBootmemSetNodes();
          return hugetlbBootmemNodes;
        });
  }

  private int orderOf(long size) {
    return Long.numberOfTrailingZeros(size) - mm.model().pageShift();
  }

  private static String sizeOf(Hstate h) {
    return Kstrtox.stringGetSize(h.hugePageSize());
  }
}
