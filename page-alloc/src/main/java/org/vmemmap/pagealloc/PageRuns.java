// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Mm;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * The insides of loops over struct pages that lie side by side in an array, in a {@link
 * PageCursor#run}: a gigantic page has a quarter of a million, and nearly all of them are alike. Each
 * stops at the first that is not, which is then dealt with by itself, as the kernel does with all.
 */
final class PageRuns {
  private static final int FLAGS = StructPage.FLAGS >>> 3;
  private static final int COMPOUND_INFO = StructPage.COMPOUND_INFO >>> 3;
  private static final int MAPPING = StructPage.MAPPING >>> 3;
  private static final int PRIVATE = StructPage.PRIVATE >>> 3;
  private static final int COUNTS = StructPage.MAPCOUNT >>> 3;
  private static final int MEMCG_DATA = StructPage.MEMCG_DATA >>> 3;

  private static final long HEAD = 1L << PageFlags.PG_HEAD;

  /** _mapcount is -1, _refcount is 0. */
  private static final long NEITHER_MAPPED_NOR_HELD = 0xffff_ffffL;

  private final int step;
  private final boolean hasMemcgData;
  private final long tailMapping;
  private final long pageFlagsCheckAtPrep;

  PageRuns(Mm mm) {
    this.step = mm.struct().size() >>> 3;
    this.hasMemcgData = mm.config().memcg() && mm.struct().size() > StructPage.MEMCG_DATA;
    this.tailMapping = mm.flags().tailMapping();
    this.pageFlagsCheckAtPrep = mm.flags().pageFlagsCheckAtPrep();
  }

  /** {@code page_expected_state()} but for the mapping. */
  private boolean asExpected(long[] words, int at, long checkFlags) {
    return words[at + COUNTS] == NEITHER_MAPPED_NOR_HELD
        && (words[at + FLAGS] & checkFlags) == 0
        && (!hasMemcgData || words[at + MEMCG_DATA] == 0);
  }

  /** How many of the next {@code most} pages are as a free page must be. */
  int fresh(PageCursor from, long most, long checkFlags) {
    int run = from.run(false, most);
    long[] words = from.words();
    int at = from.at();
    for (int done = 0; done < run; done++, at += step) {
      if (!asExpected(words, at, checkFlags) || words[at + MAPPING] != 0) {
        return done;
      }
    }
    return run;
  }

  /** How many of the next {@code most} pages do not begin a free block. */
  int notBuddy(PageCursor from, long most) {
    int run = from.run(false, most);
    long[] words = from.words();
    int at = from.at();
    for (int done = 0; done < run; done++, at += step) {
      if ((int) words[at + COUNTS] >>> 24 == PageFlags.PGTY_BUDDY) {
        return done;
      }
    }
    return run;
  }

  /** How many of the next {@code most} pages neither begin a free block nor are of a compound page. */
  int single(PageCursor from, long most) {
    int run = from.run(false, most);
    long[] words = from.words();
    int at = from.at();
    for (int done = 0; done < run; done++, at += step) {
      boolean compound = (words[at + FLAGS] & HEAD) != 0 || (words[at + COMPOUND_INFO] & 1) != 0;
      if (compound || (int) words[at + COUNTS] >>> 24 == PageFlags.PGTY_BUDDY) {
        return done;
      }
    }
    return run;
  }

  /** Frees tails that are as they should be, those of a compound page as {@code info} says; how many. */
  int freeTails(PageCursor from, long most, boolean compound, long info) {
    int run = from.run(true, most);
    long[] words = from.words();
    int at = from.at();
    long mapping = compound ? tailMapping : 0;
    for (int done = 0; done < run; done++, at += step) {
      boolean fine =
          (!compound || words[at + COMPOUND_INFO] == info)
              && words[at + MAPPING] == mapping
              && words[at + PRIVATE] == 0
              && asExpected(words, at, PageChecks.PAGE_FLAGS_CHECK_AT_FREE);
      if (!fine) {
        return done;
      }
      freeTail(words, at, compound);
    }
    return run;
  }

  /** The same without looking at them. */
  int freeTailsUnchecked(PageCursor from, long most, boolean compound) {
    int run = from.run(true, most);
    long[] words = from.words();
    int at = from.at();
    for (int done = 0; done < run; done++, at += step) {
      freeTail(words, at, compound);
    }
    return run;
  }

  private void freeTail(long[] words, int at, boolean compound) {
    if (compound) {
      words[at + MAPPING] = 0;
      words[at + COMPOUND_INFO] = 0;
    }
    words[at + FLAGS] &= ~pageFlagsCheckAtPrep;
  }

  /** Makes tails of the next {@code most} pages, or of some of them; how many. */
  int makeTails(PageCursor from, long most, long info) {
    int run = from.run(true, most);
    long[] words = from.words();
    int at = from.at();
    for (int done = 0; done < run; done++, at += step) {
      words[at + MAPPING] = tailMapping;
      words[at + COMPOUND_INFO] = info;
    }
    return run;
  }
}
