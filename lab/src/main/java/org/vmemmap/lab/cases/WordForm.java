// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.regex.Pattern;

/**
 * How case files write a word of a struct page, so that it does not depend on where things lie:
 * {@code 0x...} is the value, {@code self+0x8} points into the same struct page, {@code
 * page[PFN]+0x8} into another one, {@code pgmap} to the device's dev_pagemap; {@code -} is not
 * comparable.
 */
final class WordForm {
  /** The form of a word that cannot be compared. */
  static final String NOT_COMPARABLE = "-";

  private static final Pattern FORM =
      Pattern.compile("-|pgmap|0x[0-9a-f]{1,16}|(self|page\\[\\d+\\])\\+0x[0-9a-f]+");

  private final long base;
  private final long end;
  private final int size;

  /**
   * Knows the memmap.
   *
   * @param base address of the struct page of pfn 0
   * @param end first address behind the memmap of the highest possible pfn
   * @param size bytes of a struct page
   */
  WordForm(long base, long end, int size) {
    this.base = base;
    this.end = end;
    this.size = size;
  }

  /** True when {@code text} is one of the forms. */
  static boolean valid(String text) {
    return FORM.matcher(text).matches();
  }

  /**
   * A word in the form of case files.
   *
   * @param value the word
   * @param self address of the struct page that it was read from; 0 when it has no address of its
   *     own, as in a shared frame
   * @param pgmap address of the dev_pagemap of the page's device; 0 for none
   */
  String format(long value, long self, long pgmap) {
    if (pgmap != 0 && value == pgmap) {
      return "pgmap";
    }
    if (within(value, self)) {
      return "self+" + hex(value - self);
    }
    if (Long.compareUnsigned(value, base) >= 0 && Long.compareUnsigned(value, end) < 0) {
      long offset = value - base;
      return "page[" + offset / size + "]+" + hex(offset % size);
    }
    return hex(value);
  }

  /** True for a pointer into the struct page at {@code self}; 0 is none. */
  boolean within(long value, long self) {
    return self != 0 && Long.compareUnsigned(value - self, size) < 0;
  }

  /** {@code 0x...}. */
  static String hex(long value) {
    return "0x" + Long.toHexString(value);
  }

  /**
   * True for an address of x86-64's module area: the helper that made the devices of the timeline
   * cases keeps its dev_pagemap in static data, and those captures have the address as it was.
   */
  static boolean inModule(String canonical) {
    return canonical.startsWith("0x") && Fields.parseHex(canonical) >>> 28 == 0xffffffffcL;
  }

  /** The form with its numbers written in one way, so that equal forms are equal strings. */
  static String canonical(String text) {
    return text.startsWith("0x") ? hex(Fields.parseHex(text)) : text;
  }
}
