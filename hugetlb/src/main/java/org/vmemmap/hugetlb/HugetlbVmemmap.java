// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.Objects;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.EarlyHook;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.Zone;

/**
 * HugeTLB Vmemmap Optimization: takes the pages that hold only tail struct pages out of the memmap
 * of a hugepage, and puts them back.
 *
 * <pre>
 *   optimise                                    restore
 *   1. split    pmd leaf -> table of ptes       1. allocate a page for each shared pte
 *   2. copy     page 0 -> a new frame           2. copy     shared tail -> the page
 *   3. remap    pte 0 -> new frame, rw          3. remap    pte -> the page, rw
 *               pte 1.. -> shared tail, ro      4. flush
 *   4. flush, free the old frames
 * </pre>
 *
 * The new frame for page 0 lets a whole run of frames go back to the page allocator at once, and
 * the shared tail is read-only so that a stray write to one tail cannot change all of them.
 *
 * <p>In a list of folios steps are shared: all are split, then one flush, then all are remapped,
 * one flush, and only then is anything freed. Between remap and flush a CPU may still use the old
 * frame of page 0, so the new one must be an exact copy of it.
 */
@Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_optimize_folio")
public final class HugetlbVmemmap implements EarlyHook {
  /** Leave out the TLB flush after splitting a pmd. */
  private static final int VMEMMAP_SPLIT_NO_TLB_FLUSH = 1 << 0;

  /** Leave out the TLB flush after remapping. */
  private static final int VMEMMAP_REMAP_NO_TLB_FLUSH = 1 << 1;

  private final Mm mm;
  private final Pgtable pgtable;
  private final Lists lists;
  private final PageAlloc pageAlloc;
  private final SparseVmemmap sparseVmemmap;
  private final Sparse sparse;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final Pagewalk pagewalk;
  private boolean vmemmapOptimizeEnabled;
  private boolean sysctlRegistered;
  private @Nullable HugetlbBootmem bootmem;

  /** Optimises the folios of {@code hstates}. */
  public HugetlbVmemmap(
      Mm mm,
      PageAlloc pageAlloc,
      SparseVmemmap sparseVmemmap,
      Sparse sparse,
      Hstates hstates,
      HugetlbFolios folios) {
    this.mm = mm;
    this.pgtable = mm.pgtable();
    this.lists = mm.lists();
    this.pageAlloc = pageAlloc;
    this.sparseVmemmap = sparseVmemmap;
    this.sparse = sparse;
    this.hstates = hstates;
    this.folios = folios;
    this.pagewalk = new Pagewalk(mm);
    this.vmemmapOptimizeEnabled = mm.config().hugetlbOptimizeVmemmapDefaultOn();
  }

  // ---------------------------------------------------------------- hugetlb_vmemmap.h

  /** {@code HUGETLB_VMEMMAP_RESERVE_SIZE} in bytes: what each hugepage keeps of its memmap. */
  @Kernel(file = "mm/hugetlb_vmemmap.h", symbol = "HUGETLB_VMEMMAP_RESERVE_SIZE", patches = {26})
  public long hugetlbVmemmapReserveSize() {
    return mm.model().pageSize();
  }

  /** {@code HUGETLB_VMEMMAP_RESERVE_PAGES}: struct pages in the part that is kept. */
  @Kernel(file = "mm/hugetlb_vmemmap.h", symbol = "HUGETLB_VMEMMAP_RESERVE_PAGES", patches = {26})
  public int hugetlbVmemmapReservePages() {
    return (int) (hugetlbVmemmapReserveSize() / mm.struct().size());
  }

  /** {@code hugetlb_vmemmap_size()}: bytes of memmap of one hugepage. */
  @Kernel(file = "mm/hugetlb_vmemmap.h", symbol = "hugetlb_vmemmap_size")
  public int hugetlbVmemmapSize(Hstate h) {
    return h.pagesPerHugePage() * mm.struct().size();
  }

  /**
   * {@code hugetlb_vmemmap_optimizable_size()}: bytes of memmap that one hugepage can do without.
   * 0 when struct page is no power of two, as the mask in the tails would not lead to the head.
   */
  @Kernel(
      file = "mm/hugetlb_vmemmap.h",
      symbol = "hugetlb_vmemmap_optimizable_size",
      patches = {26, 48})
  public int hugetlbVmemmapOptimizableSize(Hstate h) {
    int size = (int) (hugetlbVmemmapSize(h) - hugetlbVmemmapReserveSize());
    if (!configured() || !mm.config().structPageIsPowerOf2()) {
      return 0;
    }
    return Math.max(size, 0);
  }

  /** {@code hugetlb_vmemmap_optimizable()}. */
  @Kernel(file = "mm/hugetlb_vmemmap.h", symbol = "hugetlb_vmemmap_optimizable")
  public boolean hugetlbVmemmapOptimizable(Hstate h) {
    return hugetlbVmemmapOptimizableSize(h) != 0;
  }

  /** CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP: without it the header has empty functions instead. */
  private boolean configured() {
    return mm.config().hugetlbOptimizeVmemmap();
  }

  // ---------------------------------------------------------------- the walk

  /** {@code walk->remap_pte}: what happens to each pte. */
  @FunctionalInterface
  private interface RemapPte {
    void remapPte(Ptr<Pte> pte, long addr, VmemmapRemapWalk walk);
  }

  /** {@code struct vmemmap_remap_walk}; also the callbacks of the walk that carries it. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "struct vmemmap_remap_walk")
  private final class VmemmapRemapWalk implements Pagewalk.MmWalkOps {
    /** Called for each pte; null to split only. */
    private final @Nullable RemapPte remapPte;

    /** Will be mapped first in the range; null to keep what is there. */
    private final @Nullable Page vmemmapHead;

    /** Will be mapped behind the first, or, when rolling back, what to look for. */
    private final @Nullable Page vmemmapTail;

    /** Takes the pages that were mapped, or gives those to map. */
    private final @Nullable ListHead vmemmapPages;

    private final int flags;

    /** Ptes done so far. */
    private long nrWalked;

    VmemmapRemapWalk(
        @Nullable RemapPte remapPte,
        @Nullable Page vmemmapHead,
        @Nullable Page vmemmapTail,
        @Nullable ListHead vmemmapPages,
        int flags) {
      this.remapPte = remapPte;
      this.vmemmapHead = vmemmapHead;
      this.vmemmapTail = vmemmapTail;
      this.vmemmapPages = vmemmapPages;
      this.flags = flags;
    }

    ListHead pages() {
      return Objects.requireNonNull(vmemmapPages);
    }

    @Override
    public int pmdEntry(Ptr<Pmd> pmd, long addr, long next, Pagewalk.MmWalk walk) {
      return vmemmapPmdEntry(pmd, addr, walk, this);
    }

    @Override
    public int pteEntry(Ptr<Pte> pte, long addr, long next, Pagewalk.MmWalk walk) {
      return vmemmapPteEntry(pte, addr, this);
    }
  }

  /** Turns the leaf that maps {@code start} into a table with the same mappings. 0 or -ENOMEM. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_split_pmd")
  private int vmemmapSplitPmd(Ptr<Pmd> pmd, Page head, long start, VmemmapRemapWalk walk) {
    long table = pteAllocOneKernel();
    if (table == 0) {
      return -Errno.ENOMEM;
    }
    Prot pgprot = pgtable.pageKernel();
    long addr = start;
    for (int i = 0; i < pgtable.arch().entries(Pgtable.PTE); i++) {
      Pte entry = pgtable.mkPte(mm.struct().add(head, i), pgprot);
      pgtable.setPteAt(addr, pgtable.pteOffsetTable(table, addr), entry);
      addr += mm.model().pageSize();
    }

    mm.machine().lock("init_mm.page_table_lock", 0);
    if (pgtable.pmdLeaf(pgtable.pmdpGet(pmd))) {
      // A leaf from the page allocator was one block; its pages will be freed one by one.
      if (!mm.flags().pageReserved(head)) {
        pageAlloc.splitPage(head, pgtable.arch().shift(Pgtable.PMD) - mm.model().pageShift());
      }
      // The ptes must be seen by whoever sees the table.
      mm.machine().writeBarrier(pmd.va());
      pgtable.pmdPopulateKernel(pmd, table);
      if ((walk.flags & VMEMMAP_SPLIT_NO_TLB_FLUSH) == 0) {
        pgtable.flushTlbKernelRange(start, start + pgtable.pmdSize());
      }
    } else {
      // Another CPU was faster: its table maps the same.
      pteFreeKernel(table);
    }
    mm.machine().unlock("init_mm.page_table_lock", 0);
    return 0;
  }

  /** Refuses a memmap that lies in the memory it describes, else splits what is still a leaf. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_pmd_entry")
  private int vmemmapPmdEntry(
      Ptr<Pmd> pmd, long addr, Pagewalk.MmWalk walk, VmemmapRemapWalk vmemmapWalk) {
    int ret = 0;
    if (vmemmapWalk.remapPte == null) {
      walk.action = Pagewalk.PageWalkAction.ACTION_CONTINUE;
    }
    mm.machine().lock("init_mm.page_table_lock", 0);
    Pmd pmdval = pgtable.pmdpGet(pmd);
    Page head = pgtable.pmdLeaf(pmdval) ? pgtable.pmdPage(pmdval) : null;
    // Memory that was added with its memmap inside has it at its front, so all of a hugepage's
    // memmap is self-hosted if the first page is.
    if (vmemmapWalk.nrWalked == 0) {
      Page page =
          head != null
              ? mm.struct().add(head, pgtable.arch().index(addr, Pgtable.PTE))
              : pgtable.ptePage(pgtable.ptepGet(pgtable.pteOffsetKernel(pmd, addr)));
      if (mm.flags().pageVmemmapSelfHosted(page)) {
        ret = -Errno.ENOTSUPP;
      }
    }
    mm.machine().unlock("init_mm.page_table_lock", 0);
    if (head == null || ret != 0) {
      return ret;
    }
    return vmemmapSplitPmd(pmd, head, addr & pgtable.pmdMask(), vmemmapWalk);
  }

  /**
   * Does to one pte what the walk is for, and counts it. The count also tells the first pte from
   * the others, and a rollback how far to go.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_pte_entry")
  private int vmemmapPteEntry(Ptr<Pte> pte, long addr, VmemmapRemapWalk vmemmapWalk) {
    Objects.requireNonNull(vmemmapWalk.remapPte).remapPte(pte, addr, vmemmapWalk);
    vmemmapWalk.nrWalked++;
    return 0;
  }

  /** Walks the memmap {@code [start, end)}: 0, -ENOMEM when a split failed, or -ENOTSUPP. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_remap_range")
  private int vmemmapRemapRange(long start, long end, VmemmapRemapWalk walk) {
    mm.printk()
        .vmBugOn(
            ((start | end) & (mm.model().pageSize() - 1)) != 0,
            "vmemmap_remap_range: !PAGE_ALIGNED(start | end)");
    at("mmap_read_lock init_mm", start);
    int ret = pagewalk.walkKernelPageTableRange(start, end, walk);
    at("mmap_read_unlock init_mm", start);
    if (ret != 0) {
      return ret;
    }
    if (walk.remapPte != null && (walk.flags & VMEMMAP_REMAP_NO_TLB_FLUSH) == 0) {
      pgtable.flushTlbKernelRange(start, end);
    }
    return 0;
  }

  /** Frees a page of the memmap to where it came from, which its reserved flag tells. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "free_vmemmap_page")
  private void freeVmemmapPage(Page page) {
    if (mm.flags().pageReserved(page)) {
      mm.vmstat().memmapBootPagesAdd(-1);
      sparseVmemmap.bootmemInfo().freeBootmemPage(page);
    } else {
      mm.vmstat().memmapPagesAdd(-1);
      pageAlloc.freePage(page);
    }
  }

  /**
   * Frees all pages on the list. Their list words go with them, so the next is read first and the
   * head is stale afterwards; the caller drops it or makes it empty. No CPU may reach the pages any
   * more.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "free_vmemmap_page_list")
  private void freeVmemmapPageList(ListHead list) {
    for (ListHead at = lists.first(list), next; !at.equals(list); at = next) {
      next = lists.next(at);
      freeVmemmapPage(mm.struct().ofLru(at));
    }
  }

  // ---------------------------------------------------------------- remap

  /** Maps the new head page or the shared tail; the page that was mapped goes on the list. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_remap_pte")
  private void vmemmapRemapPte(Ptr<Pte> pte, long addr, VmemmapRemapWalk walk) {
    Page page = pgtable.ptePage(pgtable.ptepGet(pte));
    Pte entry;
    if (walk.nrWalked == 0 && walk.vmemmapHead != null) {
      vmWarnOnOnce(
          () -> !mm.flags().pageHead(new Page(addr)),
          "vmemmap_remap_pte: !PageHead((const struct page *)addr)");
      lists.listDel(mm.struct().lru(walk.vmemmapHead));
      // The copy in the new page must be seen by whoever sees the new entry.
      mm.machine().writeBarrier(addr);
      entry = pgtable.mkPte(walk.vmemmapHead, pgtable.pageKernel());
    } else {
      vmWarnOnOnce(
          () -> !mm.flags().pageTail(new Page(addr)),
          "vmemmap_remap_pte: !PageTail((const struct page *)addr)");
      // A write to a tail that is shared would be a write to all of them: let it fault.
      entry = pgtable.mkPte(Objects.requireNonNull(walk.vmemmapTail), pgtable.pageKernelRo());
    }
    lists.listAdd(mm.struct().lru(page), walk.pages());
    pgtable.setPteAt(addr, pte, entry);
  }

  /** Maps a page of its own again, filled from what is mapped now. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_restore_pte")
  private void vmemmapRestorePte(Ptr<Pte> pte, long addr, VmemmapRemapWalk walk) {
    Page src = pgtable.ptePage(pgtable.ptepGet(pte));
    // A rollback leaves the new head page where it is; only shared tails are replaced.
    if (walk.vmemmapTail != null && !walk.vmemmapTail.equals(src)) {
      return;
    }
    vmWarnOnOnce(
        () -> mm.flags().pageHead(new Page(addr)),
        "vmemmap_restore_pte: PageHead((const struct page *)addr)");
    Page dst = mm.struct().ofLru(lists.first(walk.pages()));
    lists.listDel(mm.struct().lru(dst));
    copyPage(mm.model().pageAddress(dst), mm.model().pageAddress(src));
    // The copy must be seen by whoever sees the new entry.
    mm.machine().writeBarrier(addr);
    pgtable.setPteAt(addr, pte, pgtable.mkPte(dst, pgtable.pageKernel()));
  }

  /**
   * Splits the leaves of the memmap {@code [start, end)} and changes nothing else. Leaves out the
   * flush, so the caller owes one. Returns 0, -ENOMEM or -ENOTSUPP.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_remap_split")
  private int vmemmapRemapSplit(long start, long end) {
    return vmemmapRemapRange(
        start, end, new VmemmapRemapWalk(null, null, null, null, VMEMMAP_SPLIT_NO_TLB_FLUSH));
  }

  /**
   * Maps {@code vmemmapHead} and then {@code vmemmapTail} in {@code [start, end)}. The pages that
   * were there, or the head page if the first step failed already, are on {@code vmemmapPages}
   * afterwards, for the caller to free.
   *
   * @return 0 or a negative error code with the old contents mapped
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_remap_free")
  private int vmemmapRemapFree(
      long start, long end, Page vmemmapHead, Page vmemmapTail, ListHead vmemmapPages, int flags) {
    VmemmapRemapWalk walk =
        new VmemmapRemapWalk(this::vmemmapRemapPte, vmemmapHead, vmemmapTail, vmemmapPages, flags);
    int ret = vmemmapRemapRange(start, end, walk);
    if (ret == 0 || walk.nrWalked == 0) {
      return ret;
    }
    end = start + walk.nrWalked * mm.model().pageSize();

    // A later pmd could not be split. The list holds what was unmapped so far: as many pages as
    // there are shared tails to replace, and one more, the old head page, which stays on it.
    walk = new VmemmapRemapWalk(this::vmemmapRestorePte, null, vmemmapTail, vmemmapPages, 0);
    vmemmapRemapRange(start, end, walk);
    return ret;
  }

  /** Allocates a page for each page of {@code [start, end)}: all of them and 0, or -ENOMEM. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "alloc_vmemmap_page_list")
  private int allocVmemmapPageList(long start, long end, ListHead list) {
    Gfp gfpMask = Gfp.KERNEL.or(Gfp.RETRY_MAYFAIL);
    long nrPages = (end - start) >>> mm.model().pageShift();
    int nid = mm.inline().pageToNid(new Page(start));
    for (long i = 0; i < nrPages; i++) {
      Page page = pageAlloc.allocPagesNode(nid, gfpMask, 0, "alloc_vmemmap_page_list");
      if (page == null) {
        freePages(list);
        return -Errno.ENOMEM;
      }
      mm.own(mm.model().pageToPfn(page), 1, Owner.VMEMMAP);
      lists.listAdd(mm.struct().lru(page), list);
    }
    mm.vmstat().memmapPagesAdd(nrPages);
    return 0;
  }

  /** The error path of alloc_vmemmap_page_list(): these pages were not counted yet. */
  private void freePages(ListHead list) {
    for (ListHead at = lists.first(list), next; !at.equals(list); at = next) {
      next = lists.next(at);
      pageAlloc.freePage(mm.struct().ofLru(at));
    }
  }

  /**
   * Gives {@code [start, end)} frames of its own again. All are allocated before the first is
   * mapped, so that running out of memory needs no rollback. Returns 0 or -ENOMEM; the tables are
   * split already, so the walk itself cannot fail.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_remap_alloc")
  private int vmemmapRemapAlloc(long start, long end, int flags) {
    ListHead vmemmapPages = lists.localHead();
    VmemmapRemapWalk walk =
        new VmemmapRemapWalk(this::vmemmapRestorePte, null, null, vmemmapPages, flags);
    int ret =
        allocVmemmapPageList(start, end, vmemmapPages) != 0
            ? -Errno.ENOMEM
            : vmemmapRemapRange(start, end, walk);
    lists.release(vmemmapPages);
    return ret;
  }

  /** {@code hugetlb_free_vmemmap=}: 0, or -EINVAL when the value is neither yes nor no. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_optimize_param")
  public int hugetlbVmemmapOptimizeParam(@Nullable String buf) {
    Kstrtox.Parsed value = Kstrtox.kstrtobool(buf);
    if (value.rc() == 0) {
      vmemmapOptimizeEnabled = value.value() != 0;
    }
    return value.rc();
  }

  // ---------------------------------------------------------------- restore

  /**
   * Restores one folio. The page with the head was never shared, so it stays; the flag in it is
   * cleared last, when the tails can be written again. Returns 0 or -ENOMEM.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "__hugetlb_vmemmap_restore_folio")
  private int hugetlbVmemmapRestoreFolio0(Hstate h, Folio folio, int flags) {
    vmWarnOnOnce(
        () -> !folios.folioTestHugetlb(folio),
        "__hugetlb_vmemmap_restore_folio: !folio_test_hugetlb(folio)");
    vmWarnOnOnce(
        () -> mm.refs().folioRefCount(folio) != 0,
        "__hugetlb_vmemmap_restore_folio: folio_ref_count(folio)");
    if (!folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
      return 0;
    }
    long vmemmapStart = folio.va();
    long vmemmapEnd = vmemmapStart + hugetlbVmemmapSize(h);
    vmemmapStart += hugetlbVmemmapReserveSize();

    int ret = vmemmapRemapAlloc(vmemmapStart, vmemmapEnd, flags);
    if (ret == 0) {
      folios.clear(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    }
    return ret;
  }

  /**
   * {@code hugetlb_vmemmap_restore_folio()}: gives the folio its own memmap again and flushes.
   *
   * @return 0, also for a folio that was not optimised, or a negative error code with nothing done
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_restore_folio")
  public int hugetlbVmemmapRestoreFolio(Hstate h, Folio folio) {
    return configured() ? hugetlbVmemmapRestoreFolio0(h, folio, 0) : 0;
  }

  /**
   * {@code hugetlb_vmemmap_restore_folios()}: the same for all of {@code folioList}, with one
   * flush. Folios with a memmap of their own move to {@code nonHvoFolios}; the first that could not
   * get one and all behind it stay.
   *
   * @return how many were restored, or the error code
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_restore_folios")
  public long hugetlbVmemmapRestoreFolios(Hstate h, ListHead folioList, ListHead nonHvoFolios) {
    if (!configured()) {
      lists.listSpliceInit(folioList, nonHvoFolios);
      return 0;
    }
    long restored = 0;
    long ret = 0;
    for (ListHead at = lists.first(folioList), next; !at.equals(folioList); at = next) {
      next = lists.next(at);
      Folio folio = new Folio(mm.struct().ofLru(at));
      if (folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
        ret = hugetlbVmemmapRestoreFolio0(h, folio, VMEMMAP_REMAP_NO_TLB_FLUSH);
        if (ret != 0) {
          break;
        }
        restored++;
      }
      lists.listMove(at, nonHvoFolios);
    }
    if (restored != 0) {
      pgtable.flushTlbAll();
    }
    return ret != 0 ? ret : restored;
  }

  // ---------------------------------------------------------------- optimise

  /**
   * True when the folio is to be optimised: not done yet, switched on, and worth it. The switch can
   * change at any time, so folios of both kinds may be in one pool.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_should_optimize_folio")
  private boolean vmemmapShouldOptimizeFolio(Hstate h, Folio folio) {
    if (folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
      return false;
    }
    if (!vmemmapOptimizeEnabled) {
      return false;
    }
    return hugetlbVmemmapOptimizable(h);
  }

  /** The shared tail of the order in the zone, made on first use. Null when there is no memory. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_get_tail", patches = {32})
  private @Nullable Page vmemmapGetTail(int order, Zone zone) {
    int idx = order - mm.mmzone().vmemmapTailMinOrder();
    Page tail = zone.vmemmapTail(idx);
    if (tail != null) {
      return tail;
    }
    if (mm.series().allocatesTailsInOnePlace()) {
      return sparseVmemmap.vmemmapSharedTailPage(order, zone);
    }
    Page made =
        pageAlloc.allocPagesNode(zone.nid(), Gfp.KERNEL.or(Gfp.ZERO), 0, "vmemmap_get_tail");
    if (made == null) {
      return null;
    }
    mm.own(mm.model().pageToPfn(made), 1, Owner.SHARED_TAIL);
    Page p = new Page(mm.model().pageAddress(made));
    for (int i = 0; i < mm.model().pageSize() / mm.struct().size(); i++) {
      mm.inline().initCompoundTail(mm.struct().add(p, i), null, order, zone);
    }
    Page winner = mm.cmpxchgVmemmapTail(zone, idx, made);
    if (winner != null) {
      pageAlloc.freePage(made);
      return winner;
    }
    return made;
  }

  /**
   * Optimises one folio. Pages to free are on {@code vmemmapPages}, also after an error.
   *
   * @return 0, also for a folio that is not to be optimised, or -ENOMEM or -ENOTSUPP
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "__hugetlb_vmemmap_optimize_folio")
  private int hugetlbVmemmapOptimizeFolio0(
      Hstate h, Folio folio, ListHead vmemmapPages, int flags) {
    vmWarnOnOnce(
        () -> !folios.folioTestHugetlb(folio),
        "__hugetlb_vmemmap_optimize_folio: !folio_test_hugetlb(folio)");
    vmWarnOnOnce(
        () -> mm.refs().folioRefCount(folio) != 0,
        "__hugetlb_vmemmap_optimize_folio: folio_ref_count(folio)");
    if (!vmemmapShouldOptimizeFolio(h, folio)) {
      return 0;
    }
    int nid = mm.inline().folioNid(folio);
    Page vmemmapTail = vmemmapGetTail(h.hugePageOrder(), mm.inline().folioZone(folio));
    if (vmemmapTail == null) {
      return -Errno.ENOMEM;
    }
    // The flag is set before the copy, so that the new page has it. Without a flush in between,
    // a CPU may go on using the old page; so nothing may be changed in one of the two only.
    folios.set(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    int ret = copyHeadAndRemap(h, folio, nid, vmemmapTail, vmemmapPages, flags);
    if (ret != 0) {
      folios.clear(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    }
    return ret;
  }

  /** The second half of __hugetlb_vmemmap_optimize_folio(), up to its label {@code out}. */
  private int copyHeadAndRemap(
      Hstate h, Folio folio, int nid, Page vmemmapTail, ListHead vmemmapPages, int flags) {
    Page vmemmapHead =
        pageAlloc.allocPagesNode(nid, Gfp.KERNEL, 0, "__hugetlb_vmemmap_optimize_folio");
    if (vmemmapHead == null) {
      return -Errno.ENOMEM;
    }
    mm.own(mm.model().pageToPfn(vmemmapHead), 1, Owner.VMEMMAP);
    copyPage(mm.model().pageAddress(vmemmapHead), folio.va());
    lists.listAdd(mm.struct().lru(vmemmapHead), vmemmapPages);
    mm.vmstat().memmapPagesAdd(1);

    long vmemmapStart = folio.va();
    long vmemmapEnd = vmemmapStart + hugetlbVmemmapSize(h);
    return vmemmapRemapFree(
        vmemmapStart, vmemmapEnd, vmemmapHead, vmemmapTail, vmemmapPages, flags);
  }

  /**
   * {@code hugetlb_vmemmap_optimize_folio()}: tries; the folio's flag tells whether it worked. The
   * folio is frozen and in nobody else's hands.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_optimize_folio")
  public void hugetlbVmemmapOptimizeFolio(Hstate h, Folio folio) {
    if (!configured()) {
      return;
    }
    ListHead vmemmapPages = lists.localHead();
    hugetlbVmemmapOptimizeFolio0(h, folio, vmemmapPages, 0);
    freeVmemmapPageList(vmemmapPages);
    lists.release(vmemmapPages);
  }

  /**
   * Splits the leaves behind a folio that is to be optimised. Done for a whole list first, so that
   * one flush serves all. Returns 0, -ENOMEM or -ENOTSUPP.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_split_folio")
  private int hugetlbVmemmapSplitFolio(Hstate h, Folio folio) {
    if (!vmemmapShouldOptimizeFolio(h, folio)) {
      return 0;
    }
    return vmemmapRemapSplit(folio.va(), folio.va() + hugetlbVmemmapSize(h));
  }

  /**
   * Optimises all folios of the list as far as memory goes. {@code boot} folios may have been
   * optimised before there were struct pages; those are only made read-only. The last flush comes
   * before the first frame is freed: a CPU with an old translation would write to somebody else's
   * memory.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "__hugetlb_vmemmap_optimize_folios")
  private void hugetlbVmemmapOptimizeFolios0(Hstate h, ListHead folioList, boolean boot) {
    if (!configured() || lists.listEmpty(folioList)) {
      return;
    }
    ListHead vmemmapPages = lists.localHead();
    if (splitFolios(h, folioList, boot) != 0) {
      // One flush for all that was split: nobody may use a leaf any more when its parts move.
      pgtable.flushTlbAll();
      remapFolios(h, folioList, vmemmapPages);
    }
    pgtable.flushTlbAll();
    freeVmemmapPageList(vmemmapPages);
    lists.release(vmemmapPages);
  }

  /**
   * The first loop of __hugetlb_vmemmap_optimize_folios(): write-protects what boot optimised,
   * splits the rest. Returns how many are to be optimised.
   */
  private int splitFolios(Hstate h, ListHead folioList, boolean boot) {
    int nrToOptimize = 0;
    for (ListHead at = lists.first(folioList); !at.equals(folioList); at = lists.next(at)) {
      Folio folio = new Folio(mm.struct().ofLru(at));
      if (boot && folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
        // Until now the tails had to be writable, because their initialisation was to come.
        sparseVmemmap.vmemmapWrprotectHvo(
            folio.va(),
            folio.va() + hugetlbVmemmapSize(h),
            mm.inline().folioNid(folio),
            hugetlbVmemmapReserveSize());
        registerBootMemmap(folio);
        continue;
      }
      nrToOptimize++;
      // Without memory for a table the rest would fail too. The remap below tries again with what
      // the first folios gave back.
      if (hugetlbVmemmapSplitFolio(h, folio) == -Errno.ENOMEM) {
        break;
      }
    }
    return nrToOptimize;
  }

  /**
   * The frame that a folio from boot keeps: its section was passed over at boot, so it is registered
   * now. From patch 28 on there are no such sections.
   */
  private void registerBootMemmap(Folio folio) {
    if (!mm.series().optimizesHugetlbBySection()) {
      long pfn = mm.model().pageToPfn(folio.page());
      sparseVmemmap
          .bootmemInfo()
          .registerPageBootmemMemmap(
              mm.mmzone().pfnToSectionNr(pfn), folio.page(), hugetlbVmemmapReservePages());
    }
  }

  /** The second loop of __hugetlb_vmemmap_optimize_folios(). */
  private void remapFolios(Hstate h, ListHead folioList, ListHead vmemmapPages) {
    int flags = VMEMMAP_REMAP_NO_TLB_FLUSH;
    for (ListHead at = lists.first(folioList); !at.equals(folioList); at = lists.next(at)) {
      Folio folio = new Folio(mm.struct().ofLru(at));
      int ret = hugetlbVmemmapOptimizeFolio0(h, folio, vmemmapPages, flags);
      // Out of memory, but with pages in hand that only wait for a flush: free them, try again.
      if (ret == -Errno.ENOMEM && !lists.listEmpty(vmemmapPages)) {
        pgtable.flushTlbAll();
        freeVmemmapPageList(vmemmapPages);
        lists.initListHead(vmemmapPages);
        hugetlbVmemmapOptimizeFolio0(h, folio, vmemmapPages, flags);
      }
    }
  }

  /** {@code hugetlb_vmemmap_optimize_folios()}: tries for all folios on the list. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_optimize_folios")
  public void hugetlbVmemmapOptimizeFolios(Hstate h, ListHead folioList) {
    hugetlbVmemmapOptimizeFolios0(h, folioList, false);
  }

  /** {@code hugetlb_vmemmap_optimize_bootmem_folios()}: the same for boot pages of one size. */
  @Kernel(
      file = "mm/hugetlb_vmemmap.c",
      symbol = "hugetlb_vmemmap_optimize_bootmem_folios",
      patches = {40})
  public void hugetlbVmemmapOptimizeBootmemFolios(Hstate h, ListHead folioList) {
    hugetlbVmemmapOptimizeFolios0(h, folioList, true);
  }

  // ---------------------------------------------------------------- boot

  /** True when the boot page's memmap can be made the optimised way from the start. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "vmemmap_should_optimize_bootmem_page")
  private boolean vmemmapShouldOptimizeBootmemPage(HugeBootmemPage m) {
    if (!vmemmapOptimizeEnabled) {
      return false;
    }
    Hstate h = hstates.hstate(m);
    if (!hugetlbVmemmapOptimizable(h)) {
      return false;
    }
    long psize = h.hugePageSize();
    long paddr = mm.model().pa(m.va());

    // Only whole sections can be marked as done.
    long sectionSize = 1L << mm.config().sectionSizeBits();
    if (((paddr | psize) & (sectionSize - 1)) != 0) {
      return false;
    }
    // And only whole pmds can be left out when the rest of the memmap is mapped with leaves.
    long pmdVmemmapSize = (pgtable.pmdSize() / mm.struct().size()) << mm.model().pageShift();
    return ((paddr | psize) & (pmdVmemmapSize - 1)) == 0;
  }

  /** The zone of the node that spans the pfn; null for none. Pages have no zone yet. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "pfn_to_zone", patches = {29})
  private @Nullable Zone pfnToZone(int nid, long pfn) {
    for (Zone zone : mm.nodes().nodeData(nid).zones()) {
      if (zone.spansPfn(pfn)) {
        return zone;
      }
    }
    return null;
  }

  /**
   * {@code hugetlb_vmemmap_init_early()}: maps the memmap of the node's boot pages, optimised. Runs
   * before the rest of the memmap is mapped, which will leave these sections alone.
   *
   * @throws KernelPanic when there is no memory for it
   */
  @Override
  @Kernel(
      file = "mm/hugetlb_vmemmap.c",
      symbol = "hugetlb_vmemmap_init_early",
      patches = {16, 22, 28})
  public void hugetlbVmemmapInitEarly(int nid) {
    if (!configured() || !mm.config().sparsememVmemmapPreinit() || !vmemmapOptimizeEnabled) {
      return;
    }
    if (mm.series().optimizesHugetlbBySection()) {
      return;
    }
    ListHead pages = hstates.hugeBootPages(nid);
    for (ListHead at = lists.first(pages); !at.equals(pages); at = lists.next(at)) {
      HugeBootmemPage m = HugeBootmemPage.of(at);
      if (vmemmapShouldOptimizeBootmemPage(m)) {
        populateBootmemPage(nid, m);
      }
    }
  }

  /** The loop body of hugetlb_vmemmap_init_early(). */
  private void populateBootmemPage(int nid, HugeBootmemPage m) {
    Hstate h = hstates.hstate(m);
    long psize = h.hugePageSize();
    long pfn = mm.model().physPfn(mm.model().pa(m.va()));
    Page map = mm.model().pfnToPage(pfn);
    long start = map.va();
    long end = start + hugetlbVmemmapSize(h);
    if (mm.series().populatesHvoEarly()) {
      Zone zone = pfnToZone(nid, pfn);
      if (zone == null) {
        throw new KernelBug("NULL pointer dereference: pfn_to_zone()->vmemmap_tails");
      }
      if (sparseVmemmap.vmemmapPopulateHvo(
              start, end, h.hugePageOrder(), zone, hugetlbVmemmapReserveSize())
          != 0) {
        throw new KernelPanic("Failed to allocate memmap for HugeTLB page");
      }
      bootPagesAdd(hugetlbVmemmapReserveSize());
    }

    long pnum = mm.mmzone().pfnToSectionNr(pfn);
    long ns = psize >>> mm.config().sectionSizeBits();
    for (long i = 0; i < ns; i++) {
      sparse.sparseInitEarlySection(nid, map, pnum, Mmzone.SECTION_IS_VMEMMAP_PREINIT);
      map = new Page(map.va() + sparse.sectionMapSize());
      pnum++;
    }
    sparseVmemmap.sectionSetOrderRange(pfn, h.pagesPerHugePage(), h.hugePageOrder());
    hstates.setFlags(m, hstates.flags(m) | HugeBootmemPage.HUGE_BOOTMEM_HVO);
  }

  /**
   * Since patch 28: tells the sections of a boot page that its tails can be shared. sparse_init()
   * maps their memmap accordingly. Sections exist; the page lies in one zone.
   */
  @Kernel(
      file = "mm/hugetlb_vmemmap.c",
      symbol = "hugetlb_vmemmap_init_early",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "What is left of the early hook; the name that the patch gave it is lost.",
      patches = {28, 30, 35})
  void markBootmemPage(HugeBootmemPage m) {
    if (!mm.series().optimizesHugetlbBySection() || !marksBootPages()) {
      return;
    }
    if (configured() && vmemmapShouldOptimizeBootmemPage(m)) {
      Hstate h = hstates.hstate(m);
      long pfn = mm.model().physPfn(mm.model().pa(m.va()));
      sparseVmemmap.sectionSetOrderRange(pfn, h.pagesPerHugePage(), h.hugePageOrder());
    }
  }

  /** Until patch 30 only where the build has SPARSEMEM_VMEMMAP_PREINIT. */
  private boolean marksBootPages() {
    return mm.config().sparsememVmemmapPreinit()
        || (mm.series().optimizesBootPagesEverywhere() && sparseVmemmap.populatesBySectionOrder());
  }

  private void bootPagesAdd(long bytes) {
    long pageSize = mm.model().pageSize();
    mm.vmstat().memmapBootPagesAdd((bytes + pageSize - 1) / pageSize);
  }

  /** Sets who knows whether a boot page lies in one zone; needed before patch 16. */
  void setBootmem(HugetlbBootmem newBootmem) {
    bootmem = newBootmem;
  }

  /**
   * Maps the memmap of the boot pages that the early hook claimed. One that lies in two zones is
   * given back, with an ordinary memmap; its sections stay marked.
   */
  @Override
  @Kernel(
      file = "mm/hugetlb_vmemmap.c",
      symbol = "hugetlb_vmemmap_init_late",
      patches = {13, 16, 17})
  public void hugetlbVmemmapInitLate(int nid) {
    if (!configured() || !vmemmapOptimizeEnabled) {
      return;
    }
    ListHead pages = hstates.hugeBootPages(nid);
    for (ListHead at = lists.first(pages), next; !at.equals(pages); at = next) {
      next = lists.next(at);
      HugeBootmemPage m = HugeBootmemPage.of(at);
      if ((hstates.flags(m) & HugeBootmemPage.HUGE_BOOTMEM_HVO) != 0) {
        populateLate(nid, m);
      }
    }
  }

  /** The loop body of hugetlb_vmemmap_init_late(). */
  private void populateLate(int nid, HugeBootmemPage m) {
    Hstate h = hstates.hstate(m);
    long pfn = mm.model().physPfn(mm.model().pa(m.va()));
    long start = mm.model().pfnToPage(pfn).va();
    long end = start + hugetlbVmemmapSize(h);
    HugetlbBootmem checker = Objects.requireNonNull(bootmem, "setBootmem() was not called");
    if (!checker.hugetlbBootmemPageZonesValid(nid, m)) {
      checker.giveBack(m);
      sparseVmemmap.vmemmapPopulate(start, end, nid, null);
      bootPagesAdd(end - start);
      return;
    }
    Zone zone = pfnToZone(nid, pfn);
    if (mm.printk().warnOnOnce(zone == null, "hugetlb_vmemmap_init_late: !zone") || zone == null) {
      return;
    }
    long size = hugetlbVmemmapReserveSize();
    if (sparseVmemmap.vmemmapPopulateHvo(start, end, h.hugePageOrder(), zone, size) < 0) {
      // The page keeps HUGE_BOOTMEM_HVO, so it will be taken for an optimised one all the same.
      sparseVmemmap.vmemmapPopulate(start, end, nid, null);
      size = end - start;
    } else {
      hstates.setFlags(m, hstates.flags(m) | HugeBootmemPage.HUGE_BOOTMEM_ZONES_VALID);
    }
    bootPagesAdd(size);
  }

  /** {@code hugetlb_vmemmap_init()}, a late initcall: the sysctl exists if it could do anything. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_init")
  public void hugetlbVmemmapInit() {
    mm.printk()
        .bugOn(
            Hstates.NR_USED_SUBPAGE > hugetlbVmemmapReservePages(),
            "hugetlb_vmemmap_init: __NR_USED_SUBPAGE > HUGETLB_VMEMMAP_RESERVE_PAGES");
    if (bootmem != null && !mm.series().initsBootFoliosEarly()) {
      bootmem.initSharedTails();
    }
    for (Hstate h : hstates.all()) {
      if (hugetlbVmemmapOptimizable(h)) {
        sysctlRegistered = true;
        break;
      }
    }
  }

  /** True when /proc/sys/vm/hugetlb_optimize_vmemmap exists. */
  public boolean sysctlRegistered() {
    return sysctlRegistered;
  }

  /** {@code vmemmap_optimize_enabled}: new pages of the pool will be optimised. */
  public boolean vmemmapOptimizeEnabled() {
    return vmemmapOptimizeEnabled;
  }

  /** What a write of {@code buffer} to the sysctl does: 0, or -EINVAL for what is no integer. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "hugetlb_vmemmap_sysctls")
  public int writeSysctl(String buffer) {
    Kstrtox.Parsed value = ProcSysctl.procDobool(buffer);
    if (value.rc() == 0) {
      vmemmapOptimizeEnabled = value.value() != 0;
    }
    return value.rc();
  }

  // ---------------------------------------------------------------- helpers

  /** {@code pte_alloc_one_kernel()}: linear address of an empty table; 0 without memory. */
  @Kernel(file = "include/asm-generic/pgalloc.h", symbol = "pte_alloc_one_kernel")
  private long pteAllocOneKernel() {
    Page page =
        pageAlloc.allocPagesNode(
            mm.nodes().online().getFirst().nodeId(),
            Gfp.KERNEL.or(Gfp.ZERO),
            0,
            "vmemmap_split_pmd");
    if (page == null) {
      return 0;
    }
    mm.own(mm.model().pageToPfn(page), 1, Owner.PAGE_TABLE);
    mm.flags().setType(page, PageFlags.PGTY_TABLE);
    // ptdesc_set_kernel(): PT_kernel shares the bit of PG_referenced.
    mm.flags().set(page, PageFlags.PG_REFERENCED);
    return mm.model().pageAddress(page);
  }

  /** {@code pte_free_kernel()}. */
  @Kernel(file = "include/asm-generic/pgalloc.h", symbol = "pte_free_kernel")
  private void pteFreeKernel(long table) {
    Page page = mm.model().virtToPage(table);
    mm.flags().clearType(page, PageFlags.PGTY_TABLE);
    mm.flags().clear(page, PageFlags.PG_REFERENCED);
    pageAlloc.freePage(page);
  }

  /** {@code copy_page()} between any two addresses, each through its own mapping. */
  private void copyPage(long to, long from) {
    mm.machine().cpu().copy(to, from, mm.model().pageSize());
  }

  /** Tells the scheduler that a shared step is next. */
  private void at(String what, long where) {
    mm.machine().yields().at(what, where);
  }

  /** VM_WARN_ON_ONCE with a condition that only a kernel with DEBUG_VM looks at. */
  private void vmWarnOnOnce(BooleanSupplier condition, String where) {
    if (mm.config().debugVm()) {
      mm.printk().vmWarnOnOnce(condition.getAsBoolean(), where);
    }
  }
}
