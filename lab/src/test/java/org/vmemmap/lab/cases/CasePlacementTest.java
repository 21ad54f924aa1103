// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/** Where a case's hugepages were, as advice to the allocators. */
class CasePlacementTest {
  private static final int ORDER = 9;
  private static final int ANY = -1;
  private static final long FIRST = 1024;
  private static final long SECOND = 2048;
  private static final long OTHER = 4096;
  private static final long PAGES = 512;

  /** Two hugepages, then one of them and another that is only looked at. */
  private static final String STEPS =
      """
      {"label": "two", "do": [{"op": "boot", "hugepages": []}],
       "placement": {"exact": true, "pages": [
        {"order": 9, "node": 0, "zone": "DMA32", "pfns": [[1024, 2, 1024]]}]},
       "expect": {}},
      {"label": "looked at", "do": [],
       "expect": {"ranges": [{"what": "hugepage", "startPfn": 4096, "pages": 512}]}}
      """;

  private final Mm mm = MadeMm.x86();
  private CasePlacement placement = placement();

  private static CasePlacement placement() {
    String text =
        """
        {"schema": "vmemmap-case/1", "name": "n", "family": "f", "about": "a", "wordMask0": "0x0",
         "machine": {"arch": "x86-64", "mmu": "4-level", "pageSize": 4096, "sizeofStructPage": 64,
          "sectionSizeBits": 27, "vmemmapBase": "0xffffea0000000000", "config": {}, "ram": []},
         "steps": [%s]}
        """
            .formatted(STEPS);
    return new CasePlacement(CaseFiles.parse("f", text));
  }

  @BeforeEach
  void makeAllMemoryFree() {
    placement = placement();
    placement.attach(mm);
    placement.enter(0);
    mm.machine().ledger().transfer(0, 16384, Owner.NONE, Owner.BUDDY);
  }

  /** The pages of the step, in the order of the file, one after the other as they are taken. */
  @Test
  void next_pagesAreTaken_namesTheNextFreeOne() {
    assertEquals(FIRST, placement.next(ORDER, ANY));

    mm.own(FIRST, PAGES, Owner.HUGEPAGE);
    assertEquals(SECOND, placement.next(ORDER, 0));

    mm.own(SECOND, PAGES, Owner.HUGEPAGE);
    assertEquals(-1, placement.next(ORDER, ANY));
  }

  /** Another order, another node. Expect no advice. */
  @Test
  void next_otherOrderOrNode_hasNoAdvice() {
    assertEquals(-1, placement.next(18, ANY));
    assertEquals(-1, placement.next(ORDER, 1));
  }

  /** A step without a placement that looks at a hugepage. Expect it there. */
  @Test
  void next_stepOnlyLooksAtAHugepage_namesIt() {
    placement.enter(1);

    assertEquals(OTHER, placement.next(ORDER, ANY));
    assertEquals(Map.of(ORDER, Set.of(OTHER)), placement.wanted());
  }

  /** What any step uses is kept from others in all steps; what lies between is not. */
  @Test
  void kept_pagesOfAllSteps_areKept() {
    assertTrue(placement.kept(FIRST, FIRST + 1));
    assertTrue(placement.kept(FIRST + PAGES - 1, FIRST + 2 * PAGES));
    assertTrue(placement.kept(0, 16384));
    assertTrue(placement.kept(OTHER + 7, OTHER + 8));
    assertFalse(placement.kept(FIRST + PAGES, SECOND));
    assertFalse(placement.kept(0, FIRST));
    assertFalse(placement.kept(OTHER + PAGES, 16384));
  }

  /**
   * Three pages are asked for where the step has places for two. Expect that there is no third one,
   * until the write is over; and no limit for two pages, another order, or another node.
   */
  @Test
  void limit_moreThanPlaced_thereIsNoOther() {
    placement.limit(ORDER, ANY, 3);
    assertFalse(placement.exhausted(ORDER, 0));
    mm.own(FIRST, PAGES, Owner.HUGEPAGE);
    mm.own(SECOND, PAGES, Owner.HUGEPAGE);
    assertTrue(placement.exhausted(ORDER, 0));
    assertFalse(placement.exhausted(18, 0));

    placement.unlimit();
    assertFalse(placement.exhausted(ORDER, 0));
    placement.limit(ORDER, ANY, 2);
    assertFalse(placement.exhausted(ORDER, 0));
    placement.limit(ORDER, 1, 3);
    assertFalse(placement.exhausted(ORDER, 1));
  }

  /** A step that only looks at one page of many does not say that there were no others. */
  @Test
  void limit_stepWithoutPlacement_doesNothing() {
    placement.enter(1);
    placement.limit(ORDER, ANY, 3);
    mm.own(OTHER, PAGES, Owner.HUGEPAGE);
    assertFalse(placement.exhausted(ORDER, 0));
  }
}
