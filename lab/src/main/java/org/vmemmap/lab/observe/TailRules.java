// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.HashSet;
import java.util.Set;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PageFlags;

/**
 * The frames that the tails of optimised HugeTLB pages share.
 *
 * <p>Each struct page in such a frame is the tail of a folio of the slot's order in the slot's
 * zone, and nothing else; one frame serves a zone and order; nobody may write through the memmap.
 *
 * <p>One deviation is the kernel's own: where the memmap of a zone is initialised after a boot page
 * of it was optimised, initialisation writes through mappings that are not read-only yet. What it
 * leaves (a reference count of 1 and a list link of the last page that was written) is accepted in
 * frames from boot, because captured kernels show it.
 */
final class TailRules {
  static final String CANONICAL = "shared-tail-canonical";
  static final String READ_ONLY = "shared-tail-read-only";
  static final String SINGLE = "shared-tail-single";

  private static final int LINK_WORD = 2;
  private static final int COUNTS_WORD = 6;
  private static final long MAPCOUNT_NONE = 0xffff_ffffL;
  private static final long ONE_REFERENCE = 1L << 32;

  private final Mm mm;
  private final ZoneTails tails;
  private final MemmapReader reader;
  private final Invariants found;

  TailRules(Mm mm, ZoneTails tails, Invariants found) {
    this.mm = mm;
    this.tails = tails;
    this.reader = new MemmapReader(mm);
    this.found = found;
  }

  void check() {
    Set<Long> frames = new HashSet<>();
    for (ZoneTails.Slot slot : tails.slots()) {
      found.checked(SINGLE, 1);
      if (!frames.add(slot.frame())) {
        found.violated(
            SINGLE,
            "frame",
            slot.frame(),
            "is the shared tail of two slots, one is " + slot.name());
      }
      canonical(slot);
    }
    if (!tails.slots().isEmpty()) {
      readOnly();
    }
  }

  private void readOnly() {
    PageTableWalker walker = new PageTableWalker(mm);
    PageTableFormat format = walker.format();
    long[] seen = new long[1];
    walker.walk(
        mm.model().vmemmapBase(),
        MemmapWalk.areaEnd(mm),
        (level, va, entry) -> {
          long frame = format.address(entry, level) >>> format.pageShift();
          ZoneTails.Slot slot = level == 0 ? tails.ofFrame(frame) : null;
          if (slot != null) {
            seen[0]++;
            if (format.writable(entry, level)) {
              String where = "shared tail " + slot.name() + " is mapped writable at va=0x";
              found.violated(READ_ONLY, "frame", frame, where + Long.toHexString(va));
            }
          }
        });
    found.checked(READ_ONLY, seen[0]);
  }

  private void canonical(ZoneTails.Slot slot) {
    long[] wanted = new long[mm.config().sizeofStructPage() / 8];
    wanted[0] = mm.inline().initialFlags(slot.zone().idx(), slot.zone().nid());
    wanted[1] = mm.flags().compoundInfo(null, slot.order());
    wanted[3] = mm.flags().tailMapping();
    wanted[COUNTS_WORD] = MAPCOUNT_NONE;
    boolean fromBoot = fromBoot(slot.frame());
    int slots = (int) mm.model().pageSize() / mm.config().sizeofStructPage();
    found.checked(CANONICAL, slots);
    for (int i = 0; i < slots; i++) {
      long[] words = reader.wordsInFrame(slot.frame(), i);
      if (fromBoot && words[COUNTS_WORD] == (MAPCOUNT_NONE | ONE_REFERENCE)) {
        words[COUNTS_WORD] = MAPCOUNT_NONE;
        words[LINK_WORD] = 0;
      }
      compare(slot, i, words, wanted);
    }
  }

  private void compare(ZoneTails.Slot slot, int at, long[] words, long[] wanted) {
    for (int i = 0; i < words.length; i++) {
      boolean equal = i == 0 ? sameLinks(words[0], slot) : words[i] == wanted[i];
      if (!equal) {
        found.violated(
            CANONICAL,
            "frame",
            slot.frame(),
            "%s slot %d word %d is 0x%x, wanted 0x%x"
                .formatted(slot.name(), at, i, words[i], wanted[i]));
        return;
      }
    }
  }

  /** True when word 0 names the slot's node and zone and has no flag set. */
  private boolean sameLinks(long word0, ZoneTails.Slot slot) {
    return (word0 & mm.flags().pageflagsMask()) == 0
        && mm.inline().nid(word0) == slot.zone().nid()
        && mm.inline().zonenum(word0) == slot.zone().idx();
  }

  private boolean fromBoot(long frame) {
    return reader.mapped(frame) && (reader.word(frame, 0) & 1L << PageFlags.PG_RESERVED) != 0;
  }
}
