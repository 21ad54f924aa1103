// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Ledger;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/** The frames behind the memmap: ledger, page tables and counters tell the same. */
final class FrameRules {
  static final String OWNER = "memmap-frame-owner";
  static final String BOOKED = "memmap-frames-booked";
  static final String TABLES = "page-table-frames";
  static final String EMPTY = "page-table-empty";
  static final String REFERENCES = "memmap-references";
  static final String COUNTERS = "memmap-counters";

  /** The word of a struct page that says what boot memory was registered for. */
  private static final int PRIVATE = StructPage.PRIVATE / Long.BYTES;

  /** Its bits that are not 0 for registered memory. */
  private static final long TYPE = 0xf;

  /** The word of a struct page that ends with its reference count. */
  private static final int COUNTS = StructPage.REFCOUNT / Long.BYTES;

  /** References of a page that is registered, at least. */
  private static final int REGISTERED = 2;

  private final LabKernel kernel;
  private final Mm mm;
  private final MemmapReader reader;
  private final Ledger ledger;
  private final MemmapWalk walk;
  private final ZoneTails tails;
  private final DeviceExceptions devices;
  private final ArchExceptions arch;
  private final Invariants found;
  private long vmemmapFrames;
  private long tailsInUse;
  private long frames;

  FrameRules(
      LabKernel kernel,
      MemmapWalk walk,
      ZoneTails tails,
      DeviceExceptions devices,
      ArchExceptions arch,
      Invariants found) {
    this.arch = arch;
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.reader = new MemmapReader(mm);
    this.ledger = mm.machine().ledger();
    this.walk = walk;
    this.tails = tails;
    this.devices = devices;
    this.found = found;
  }

  void check() {
    walk.baseFrames().forEach((frame, maps, writableMaps) -> frame(frame));
    walk.forEachBlock(
        (first, pages) -> {
          for (long frame = first; frame < first + pages; frame++) {
            frame(frame);
          }
        });
    found.checked(OWNER, frames);
    found.equal(
        BOOKED,
        "VMEMMAP in the page tables, against the ledger,",
        ledger.count(Owner.VMEMMAP),
        vmemmapFrames);
    found.equal(
        BOOKED,
        "SHARED_TAIL in the zones, against the ledger,",
        ledger.count(Owner.SHARED_TAIL),
        tails.slots().size());
    tables();
    emptyTables();
    if (!arch.countsFrames()) {
      countersBySection();
    } else if (!devices.anyMisaligned() && !sharedPagesCount()) {
      counters();
    }
  }

  /** True when a page of memmap counts for two devices, or still counts for one that has lost it. */
  private boolean sharedPagesCount() {
    return devices.sharePages()
        || (arch.takesSharedPages() && devices.lostPages(new MemmapReader(mm)));
  }

  private void tables() {
    if (arch.tablesFillFrames()) {
      found.equal(
          TABLES,
          "PAGE_TABLE met by the walk or of a process, against the ledger,",
          ledger.count(Owner.PAGE_TABLE),
          walk.allTables() + kernel.processPageTables().size());
      return;
    }
    for (long frame : walk.tableFrames()) {
      found.checked(TABLES, 1);
      FrameOwner owner = ledger.ownerOf(frame);
      if (owner != Owner.PAGE_TABLE && owner != Owner.SLAB) {
        found.violated(TABLES, "frame", frame, "holds a table, owner is " + owner.name());
      }
    }
  }

  /** Who unmaps the last page that a table maps gives the table back. */
  private void emptyTables() {
    found.checked(EMPTY, walk.allTables());
    for (MemmapWalk.EmptyTable table : walk.emptyTables()) {
      if (table.level() < arch.keptTables()) {
        found.violated(
            EMPTY,
            "frame",
            table.frame(),
            "holds a table of level %d at va=0x%x that maps nothing".formatted(table.level(), table.va()));
      }
    }
  }

  /** Boot memory as its sections count it; devices count by the range that is mapped at a time. */
  private void countersBySection() {
    Mmzone mmzone = mm.mmzone();
    long bytes = mmzone.pagesPerSection() * mm.config().sizeofStructPage();
    long pages = (bytes + mm.model().pageSize() - 1) >>> mm.model().pageShift();
    long counted = 0;
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      counted += mmzone.earlySection(mmzone.section(nr)) ? pages : 0;
    }
    found.equal(
        COUNTERS,
        "whole pages of the memmap of each boot section, against nr_memmap_boot_pages,",
        mm.vmstat().nrMemmapBootPages(),
        counted);
  }

  /**
   * The counters as the kernel itself counts: before patch 3 a device's memmap in full, whatever it
   * shares; before patch 1 less by each hot-add that failed, of which nothing else tells.
   */
  private void counters() {
    long counted = mm.vmstat().nrMemmapPages() + mm.vmstat().nrMemmapBootPages();
    long frames = walk.distinctPages() - tailsInUse;
    if (!mm.series().countsOptimizedDax()) {
      frames += devices.sharedPages(new MemmapReader(mm));
    }
    boolean failuresLowerIt = !mm.series().countsFailedPopulate() && counted < frames;
    found.equal(
        COUNTERS,
        "frames less shared tails, against nr_memmap_pages + nr_memmap_boot_pages,",
        failuresLowerIt ? frames : counted,
        frames);
  }

  /** Boot memory that is registered has a reference for that, besides the one it is held by. */
  private void references(long frame) {
    found.checked(REFERENCES, 1);
    if (reader.mapped(frame)
        && (reader.word(frame, 0) & 1L << PageFlags.PG_RESERVED) != 0
        && (reader.word(frame, PRIVATE) & TYPE) != 0
        && (int) (reader.word(frame, COUNTS) >>> Integer.SIZE) < REGISTERED) {
      found.violated(REFERENCES, "pfn", frame, "is registered and has no reference for that");
    }
  }

  private void frame(long frame) {
    frames++;
    FrameOwner owner = frame < ledger.frames() ? ledger.ownerOf(frame) : Owner.NONE;
    boolean tail = tails.ofFrame(frame) != null;
    if (owner == Owner.VMEMMAP && !tail) {
      vmemmapFrames++;
      references(frame);
    } else if (owner == Owner.SHARED_TAIL && tail) {
      tailsInUse++;
    } else if (owner != Owner.ALTMAP || tail) {
      String wanted = tail ? "SHARED_TAIL" : "VMEMMAP or ALTMAP";
      found.violated(
          OWNER,
          "frame",
          frame,
          "backs the memmap, owner is " + owner.name() + ", wanted " + wanted);
    }
  }
}
