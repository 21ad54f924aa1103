// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How words of struct pages are written without saying where things lie. */
class WordFormTest {
  private static final long BASE = 0xffffea0000000000L;
  private static final long SIZE = 64;
  private static final long SELF = BASE + 100 * SIZE;
  private static final long PGMAP = 0xffff888001234000L;
  private static final WordForm FORM = new WordForm(BASE, BASE + (1L << 40), (int) SIZE);

  /** A plain value is hex. */
  @Test
  void format_value_isHex() {
    assertEquals("0xdead000000000400", FORM.format(0xdead000000000400L, SELF, 0));
    assertEquals("0x0", FORM.format(0, SELF, 0));
  }

  /** A list head that is empty points into its own struct page. */
  @Test
  void format_pointerIntoTheSamePage_isSelf() {
    assertEquals("self+0x8", FORM.format(SELF + 8, SELF, 0));
    assertEquals("self+0x0", FORM.format(SELF, SELF, 0));
  }

  /** A pointer to another struct page is its pfn; +1 marks a tail where heads are named. */
  @Test
  void format_pointerIntoAnotherPage_isItsPfn() {
    assertEquals("page[7]+0x8", FORM.format(BASE + 7 * SIZE + 8, SELF, 0));
    assertEquals("page[7]+0x1", FORM.format(BASE + 7 * SIZE + 1, SELF, 0));
  }

  /** A page without an address of its own, in a shared frame, has no self. */
  @Test
  void format_noSelf_isPage() {
    assertEquals("page[100]+0x8", FORM.format(SELF + 8, 0, 0));
  }

  /** Only the pagemap of the page's own device is pgmap. */
  @Test
  void format_ownPagemap_isPgmap() {
    assertEquals("pgmap", FORM.format(PGMAP, SELF, PGMAP));
    assertEquals("0xffff888001234000", FORM.format(PGMAP, SELF, PGMAP + 4096));
    assertEquals("0x0", FORM.format(0, SELF, 0));
  }

  /** The forms of the case format and nothing else. */
  @ParameterizedTest
  @ValueSource(strings = {"0x0", "-", "pgmap", "self+0x8", "page[524224]+0x8", "page[0]+0x1"})
  void valid_formsOfTheFormat_areValid(String text) {
    assertTrue(WordForm.valid(text));
  }

  /** Close to a form is not a form. */
  @ParameterizedTest
  @ValueSource(strings = {"0x", "12", "self", "self+8", "page[]+0x8", "page[x]+0x8", "0xZZ", ""})
  void valid_anythingElse_isNot(String text) {
    assertFalse(WordForm.valid(text));
  }
}
