// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.List;

/** Columns of text: the first ones to the left, numbers to the right. */
public final class Table {
  private final List<String[]> rows = new ArrayList<>();
  private final String align;

  /**
   * Starts a table.
   *
   * @param align one letter for each column: l for left, r for right
   * @param headings one for each column
   */
  public Table(String align, String... headings) {
    this.align = align;
    row((Object[]) headings);
  }

  /** Adds a row with one cell for each column. */
  public Table row(Object... cells) {
    String[] row = new String[align.length()];
    for (int i = 0; i < row.length; i++) {
      row[i] = String.valueOf(cells[i]);
    }
    rows.add(row);
    return this;
  }

  /** How many rows there are below the heading. */
  public int size() {
    return rows.size() - 1;
  }

  /** The lines, each indented by two blanks, without blanks at the end. */
  @Override
  public String toString() {
    int[] width = new int[align.length()];
    for (String[] row : rows) {
      for (int i = 0; i < width.length; i++) {
        width[i] = Math.max(width[i], row[i].length());
      }
    }
    StringBuilder text = new StringBuilder();
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < width.length; i++) {
        String pad = " ".repeat(width[i] - row[i].length());
        line.append("  ").append(align.charAt(i) == 'r' ? pad + row[i] : row[i] + pad);
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
    return text.toString();
  }
}
