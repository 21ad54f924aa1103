// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.report.Json;
import org.vmemmap.lab.report.Table;
import org.vmemmap.machine.MachineFault;

/**
 * All rules by name. Those of a machine at rest are checked by {@code lab.observe.Invariants}.
 *
 * <p>What they cost was measured on a PC of 8 GiB with 512 hugepages and a device of 2 GiB, on one
 * core of a small server, code compiled well: the whole takes 16 ms there. What is looked at in one
 * pass has one cost. Rules without a number come with what runs anyway.
 */
public final class RuleBook {
  /** A write or bind that returns an error must leave the machine as it was. */
  public static final String FAILED_OPERATION = "failed-operation-changes-nothing";

  /** Only boot may give up, and only by panic(). */
  public static final String PANIC = "no-panic-at-run-time";

  /** A BUG, a fault of the machine or a crash of the ported code. */
  public static final String CRASH = "no-crash";

  /** A store through a mapping without write permission. */
  public static final String READ_ONLY = "no-write-to-read-only";

  /** A struct page is used that holds poison, or bytes that nobody wrote. */
  public static final String INITIALISED = "struct-page-initialised";

  /** A live entry is changed to another one at once. */
  public static final String BREAK_BEFORE_MAKE = "break-before-make";

  /** A WARN that nobody expects. */
  public static final String WARNING = "no-warning";

  /** A step fails although nothing was made to fail. */
  public static final String STEP = "step-succeeds";

  /** A walker of pfns finds another head than that of the folio. */
  public static final String READER = "reader-sees-head";

  /** A lock that nobody leaves, or a run that does not end. */
  public static final String DEADLOCK = "no-deadlock";

  /** A lock that is not held where it must be, or held where it must not. */
  public static final String LOCKS = "locks-held";

  /** A cached translation, or an access, that leads to a free frame. */
  public static final String FREED = "tlb-reaches-freed-frame";

  /** A cached translation that the page tables do not give. */
  public static final String STALE = "tlb-agrees-with-tables";

  /** A frame of a memmap that lies in the memory it describes, and is free. */
  public static final String ALTMAP = "altmap-not-free";

  /** No page becomes surplus that could have been freed. */
  public static final String FREE_FIRST = "free-hugepages-go-first";

  /** While HVO is on, what joins a pool is optimised. */
  public static final String OPTIMISES = "hugetlb-optimises";

  /** The end of memory is where memory ends, and devices do not move it. */
  public static final String MAX_PFN = "max-pfn";

  private static final String SPARSE_VMEMMAP = "mm/sparse-vmemmap.c";
  private static final String HUGETLB_VMEMMAP = "mm/hugetlb_vmemmap.c";
  private static final String HUGETLB = "mm/hugetlb.c";
  private static final String PAGE_ALLOC = "mm/page_alloc.c";
  private static final String CMA = "mm/cma.c";
  private static final String MM_INIT = "mm/mm_init.c";

  private RuleBook() {}

  /** All rules, those of a machine at rest first. */
  public static List<Rule> all() {
    List<Rule> all = new ArrayList<>(frames());
    all.addAll(pages());
    all.addAll(zones());
    all.addAll(memory());
    all.addAll(hugepages());
    all.addAll(devices());
    all.addAll(operations());
    all.addAll(races());
    return List.copyOf(all);
  }

  private static List<Rule> frames() {
    return List.of(
        new Rule(
            "memmap-frame-owner",
            "each frame behind the memmap is owned as memmap, shared tail or altmap",
            "a frame that is free as well holds struct pages until its next owner writes",
            "O(memmap frames), 45 ns", SPARSE_VMEMMAP, "vmemmap_pte_populate"),
        new Rule(
            "memmap-frames-booked",
            "as many frames are mapped as memmap as are owned as memmap",
            "a frame that nobody maps and nobody frees is lost",
            "with memmap-frame-owner", HUGETLB_VMEMMAP, "free_vmemmap_page"),
        new Rule(
            "page-table-frames",
            "each table that a walk meets has a frame owned as page table, and no other has",
            "a freed table that is still walked maps whatever its next owner writes",
            "with memmap-frame-owner", HUGETLB_VMEMMAP, "vmemmap_split_pmd"),
        new Rule(
            "page-table-empty",
            "no table below the top level serves the memmap and maps nothing",
            "memory that is plugged far away and unplugged must not leave a page table each time",
            "with memmap-frame-owner", "arch/powerpc/mm/book3s64/radix_pgtable.c", "remove_pagetable"),
        new Rule(
            "memmap-references",
            "each registered page of boot memmap has a reference for that",
            "the page is freed when the last of its sections lets go, and not before",
            "with memmap-frame-owner", "mm/bootmem_info.c", "get_page_bootmem"),
        new Rule(
            "memmap-counters",
            "nr_memmap_pages + nr_memmap_boot_pages = frames behind the memmap less shared tails",
            "/proc/vmstat is how an admin sees what HVO saves",
            "with memmap-frame-owner", "mm/vmstat.c", "memmap_pages_add"),
        new Rule(
            "shared-tail-single",
            "each shared tail serves one zone and one order",
            "its struct pages name one zone and one order",
            "with shared-tail-canonical", HUGETLB_VMEMMAP, "vmemmap_get_tail"),
        new Rule(
            "shared-tail-canonical",
            "each struct page in a shared tail is the unused tail of its order and zone",
            "one write is seen by the tails of all hugepages",
            "O(shared tails), 2.8 us", "mm/internal.h", "init_compound_tail"),
        new Rule(
            "shared-tail-read-only",
            "no pte maps a shared tail writable",
            "a stray write must fault instead of reaching all hugepages",
            "O(memmap ptes), 4 ns", HUGETLB_VMEMMAP, "vmemmap_remap_pte"),
        new Rule(
            FREED,
            "no cached translation leads into a free frame, nor into one that is freed or handed out",
            "a CPU would read or write the memory of the frame's next owner",
            "2.3 us a CPU; 4 to 200 ns a frame that moves", "arch/x86/mm/tlb.c", "flush_tlb_kernel_range"));
  }

  private static List<Rule> pages() {
    return List.of(
        new Rule(
            "struct-page-mapped",
            "each page of RAM and of a present sub-section has a mapped struct page",
            "pfn_to_page() of a valid pfn is read without a check",
            "O(pages), 4.5 ns", SPARSE_VMEMMAP, "vmemmap_populate_range"),
        new Rule(
            "struct-page-node-zone",
            "each struct page names the node and zone that its pfn lies in",
            "page_zone() decides whose lock and whose free list",
            "with struct-page-mapped", MM_INIT, "__init_single_page"),
        new Rule(
            "device-page-flags",
            "the struct page of a device, if it is no tail, has no flag but reserved and head",
            "memory holds garbage where nobody cleared it",
            "with struct-page-mapped", MM_INIT, "__init_zone_device_page"),
        new Rule(
            "struct-page-compound",
            "each tail leads to a head whose order reaches it",
            "compound_head() is how everybody finds the reference count",
            "with struct-page-mapped", "mm/page_alloc.c", "prep_compound_page"));
  }

  private static List<Rule> zones() {
    return List.of(
        new Rule(
            "free-block",
            "each block on a free list is free, aligned, of that order and zone, and owned by buddy",
            "the next allocation hands it out",
            "O(free blocks), 130 ns", PAGE_ALLOC, "__free_one_page"),
        new Rule(
            "free-counts",
            "nr_free of each order and the free pages of each zone are what is on the lists",
            "watermarks are checked against them",
            "with free-block", PAGE_ALLOC, "__add_to_free_list"),
        new Rule(
            "free-frames-booked",
            "the free pages of all zones are the frames that buddy owns",
            "a difference is a page lost or free twice",
            "with free-block", PAGE_ALLOC, "free_unref_page"),
        new Rule(
            "managed-pages",
            "totalram_pages is the sum of managed_pages of all zones",
            "watermarks and limits are shares of them",
            "with free-block", PAGE_ALLOC, "adjust_managed_page_count"));
  }

  private static List<Rule> memory() {
    return List.of(
        new Rule(
            "present-pages",
            "present pages of a node are those of its zones, and a zone's are early ones and online ones",
            "a zone without present pages leaves the zonelists, a node without them goes offline",
            "O(sub-sections added after boot)", "mm/memory_hotplug.c", "adjust_present_page_count"),
        new Rule(
            "node-span",
            "a node spans what its zones span, and no more",
            "a node that spans nothing goes offline, and one that spans another's memory does not",
            "O(zones)", "mm/memory_hotplug.c", "update_pgdat_span"),
        new Rule(
            MAX_PFN,
            "max_pfn never falls, no zone but a device's ends behind it; on x86 no device raises it",
            "walkers of pfns stop there, and drivers decide by it whether they reach all memory",
            "O(zones)", "arch/x86/mm/init_64.c", "add_pages"),
        new Rule(
            "isolated-pageblocks",
            "at rest no zone counts pageblocks that somebody isolates",
            "as long as it does, nothing that is freed goes to a CPU's list",
            "O(zones)", "mm/page_isolation.c", "unset_migratetype_isolate"),
        new Rule(
            "pageblock-type",
            "a pageblock is CMA in areas alone, movable in a device, isolated by nobody; free blocks are of its type",
            "the type says which list freed pages go to, and who may have them",
            "O(pageblocks + free blocks), 100 ns", MM_INIT, "pageblock_migratetype_init_range"),
        new Rule(
            "memory-block-references",
            "a memory block that is there has one reference, and one that is gone is released",
            "with another one its memory is never freed, and its name is never free again",
            "O(memory blocks)", "drivers/base/memory.c", "memory_block_release"),
        new Rule(
            "small-object-held",
            "of each kind of slab object there are as many as structures that hold one",
            "one more is lost for good, one less is used after it was freed",
            "O(slab objects + sections)", "mm/slub.c", "kfree"),
        new Rule(
            "cma-counts",
            "totalcma_pages, each zone's cma_pages and nr_free_cma are what areas and lists have, a failed area none",
            "watermarks leave CMA pages out for those who may not use them",
            "O(pageblocks of areas), 120 ns", CMA, "cma_activate_area"),
        new Rule(
            "cma-bitmap",
            "what an area's bitmap has in use is not free, and the rest is its available_count",
            "the next allocation of the area takes what is clear",
            "with cma-counts", CMA, "cma_clear_bitmap"),
        new Rule(
            "free-memory-online",
            "each block on a free list lies in memory that is online",
            "memory that is offline may be unplugged at any time",
            "with free-block", "mm/memory_hotplug.c", "offline_pages"));
  }

  private static List<Rule> hugepages() {
    return List.of(
        new Rule(
            "hugetlb-pool-counts",
            "a pool's counters, of all nodes and of each, are what is on its lists; nothing is promised",
            "each is written by hand at the places where pages come and go",
            "O(hugepages), 400 ns", HUGETLB, "remove_hugetlb_folio"),
        new Rule(
            "hugetlb-pool-page",
            "a page of a pool is an aligned head of its order, on its node's list; free without reference",
            "who takes it from the list sets the count and trusts the rest",
            "with hugetlb-pool-counts", HUGETLB, "enqueue_hugetlb_folio"),
        new Rule(
            "hugetlb-pool-zone",
            "a page of a pool lies in one zone",
            "its tails are shared with all others of that zone, and name it",
            "with hugetlb-pool-counts", HUGETLB, "hugetlb_bootmem_folio_init"),
        new Rule(
            "hugetlb-optimised-flag",
            "HPG_vmemmap_optimized is set for exactly the pages whose memmap is the shared tail",
            "without the flag nobody restores it; with it, it is restored on top of itself",
            "with hugetlb-pool-counts", HUGETLB_VMEMMAP, "__hugetlb_vmemmap_optimize_folio"));
  }

  private static List<Rule> devices() {
    return List.of(
        new Rule(
            "device-memmap-one-predicate",
            "as many frames are populated for a compound page of a device as are counted and initialised",
            "three places ask whether its memmap is shared, and must get one answer",
            "O(compound pages of devices), 1.5 us", SPARSE_VMEMMAP, "section_nr_vmemmap_pages"),
        new Rule(
            "device-page-pgmap",
            "the first and the last compound page of a device name its pgmap",
            "references to it keep the device from going",
            "with device-memmap-one-predicate", MM_INIT, "__init_zone_device_page"),
        new Rule(
            "memmap-in-every-root",
            "each process's page table leads to all that init_mm maps of the memmap",
            "a process that is running touches struct pages through its own top-level table",
            "O(processes), 300 ns", "arch/x86/mm/init_64.c", "sync_global_pgds"),
        new Rule(
            "root-of-process-empty",
            "the user half of a top-level table is empty in a process without memory",
            "hardware walks it as soon as the process touches an address",
            "with memmap-in-every-root", "arch/x86/mm/pgtable.c", "pgd_alloc"));
  }

  private static List<Rule> operations() {
    return List.of(
        new Rule(
            FAILED_OPERATION,
            "an operation that returns an error leaves struct pages in use and counters as they were",
            "the caller will not undo what it was told did not happen",
            "O(pages in use), 2 x 19 ns", "mm/memory_hotplug.c", "__add_pages"),
        new Rule(
            FREE_FIRST,
            "a write to nr_hugepages makes no page surplus while one is free that nobody was promised",
            "a page that is free and surplus is in no pool that anybody asked for, and stays",
            "O(free hugepages)", HUGETLB, "set_max_huge_pages"),
        new Rule(
            OPTIMISES,
            "with HVO on, memory to spare and nothing failing, each page that joins a pool is optimised",
            "that is what HVO is for, and nothing else tells that it did nothing",
            "O(free hugepages)", HUGETLB_VMEMMAP, "hugetlb_vmemmap_optimize_folios"),
        new Rule(
            PANIC,
            "panic() is called by boot only",
            "without memory at run time an operation fails, not the machine",
            "O(1)", "kernel/panic.c", "panic"),
        new Rule(
            CRASH,
            "no BUG, no fault of the machine, no use of a NULL pointer",
            "each is an oops",
            "O(1)", "include/asm-generic/bug.h", "BUG_ON"),
        new Rule(
            READ_ONLY,
            "nothing is written through a mapping that is read-only",
            "the shared tail of all hugepages of a zone is protected by nothing else",
            "O(1), per access", "arch/x86/mm/fault.c", "do_kern_addr_fault"),
        new Rule(
            INITIALISED,
            "no struct page is used that is poison or that nobody initialised",
            "zone, node and head are read from it without a check",
            "O(1), per access", "include/linux/mmzone.h", "page_zonenum"),
        new Rule(
            BREAK_BEFORE_MAKE,
            "where the architecture asks for it, an entry in use becomes invalid and is flushed first",
            "two CPUs may see both translations at a time, and the hardware may report a conflict",
            "100 ns an entry written", "arch/arm64/mm/mmu.c", "pgattr_change_is_safe"),
        new Rule(
            WARNING,
            "no WARN",
            "a WARN says that the caller broke a contract",
            "O(1)", "include/asm-generic/bug.h", "WARN_ON"),
        new Rule(
            STEP,
            "a step of a scenario succeeds when nothing is made to fail",
            "what an earlier failure left behind must not be in the way",
            "O(1)", "mm/memory_hotplug.c", "__remove_pages"));
  }

  private static List<Rule> races() {
    return List.of(
        new Rule(
            READER,
            "compound_head() of a tail is the head of its folio, also while its memmap is remapped",
            "walkers of pfns look at struct pages without any lock",
            "O(1), per look", HUGETLB_VMEMMAP, "vmemmap_remap_pte"),
        new Rule(
            STALE,
            "at rest no CPU has a cached translation that the page tables do not give",
            "a flush that is left out lets a CPU go on with a memmap that is gone",
            "O(TLB entries), 28 ns", HUGETLB_VMEMMAP, "vmemmap_remap_range"),
        new Rule(
            ALTMAP,
            "no frame of an altmap is on a free list",
            "its memory can be removed as a whole only, and the frame would be in use elsewhere",
            "O(frames of altmaps)", HUGETLB_VMEMMAP, "vmemmap_pmd_entry"),
        new Rule(
            DEADLOCK,
            "each CPU gets the locks that it waits for, and comes to an end",
            "a lock order that is not one",
            "O(1), per lock", "kernel/locking/lockdep.c", "check_deadlock"),
        new Rule(
            LOCKS,
            "locks are held where a function asks for them, and left by who took them",
            "lockdep would say the same",
            "O(1), per lock", "kernel/locking/lockdep.c", "lock_is_held_type"));
  }

  /** The rule that a fault of the machine breaks; {@link #CRASH} for one without a name of its own. */
  public static String ofFault(MachineFault fault) {
    return switch (fault.rule()) {
      case "write-to-read-only" -> READ_ONLY;
      case "uninitialised-read", "no-such-zone" -> INITIALISED;
      case "break-before-make-violated" -> BREAK_BEFORE_MAKE;
      case "stale-translation" -> STALE;
      case "freed-frame-access", FREED -> FREED;
      default -> CRASH;
    };
  }

  /** The rule of that name. @throws IllegalArgumentException for none */
  public static Rule of(String name) {
    return all().stream()
        .filter(rule -> rule.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("rule " + name));
  }

  /** The rules as a table. */
  public static String table() {
    Table table = new Table("llll", "rule", "cost", "kept by", "what must hold, and why");
    for (Rule rule : all()) {
      String kept = rule.symbol() + " (" + rule.file() + ")";
      table.row(rule.name(), rule.cost(), kept, rule.statement());
      table.row("", "", "", "  " + rule.reason());
    }
    return table + "\n" + all().size() + " rules";
  }

  /** The rules as JSON. */
  public static String json() {
    Json json = new Json().object().list("rules");
    for (Rule rule : all()) {
      json.object()
          .put("name", rule.name())
          .put("statement", rule.statement())
          .put("reason", rule.reason())
          .put("cost", rule.cost())
          .put("file", rule.file())
          .put("symbol", rule.symbol())
          .endObject();
    }
    return json.endList().endObject().toString();
  }
}
