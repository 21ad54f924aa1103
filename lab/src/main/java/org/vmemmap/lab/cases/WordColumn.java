// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import org.jspecify.annotations.Nullable;

/**
 * One word of many struct pages, in the form of case files. Neighbours mostly have the same word, or
 * the same offset to themselves, so the text of the last one is kept.
 */
final class WordColumn {
  private final @Nullable WordForm form;
  private final long mask;
  private final Uniform values = new Uniform();
  private String text = "";
  private boolean known;
  private boolean ofItself;
  private long word;
  private long pgmap;

  /**
   * A column.
   *
   * @param form how pointers are written; null for a word that is none
   * @param mask the bits that count
   */
  WordColumn(@Nullable WordForm form, long mask) {
    this.form = form;
    this.mask = mask;
  }

  /**
   * Takes the word of one more struct page.
   *
   * @param value the word
   * @param self address of the struct page
   * @param device address of the dev_pagemap of the page's device; 0 for none
   */
  void add(long value, long self, long device) {
    long bits = value & mask;
    WordForm pointer = form;
    boolean points = pointer != null && pointer.within(bits, self);
    long compared = points ? bits - self : bits;
    if (!known || points != ofItself || compared != word || device != pgmap) {
      known = true;
      ofItself = points;
      word = compared;
      pgmap = device;
      text = pointer == null ? WordForm.hex(bits) : pointer.format(bits, self, device);
    }
    values.add(text);
  }

  /** Takes a struct page that is not there. */
  void addUnmapped() {
    values.add("not mapped");
  }

  /** What all have, or how they differ; see {@link Uniform#value}. */
  Object value() {
    return values.value();
  }
}
