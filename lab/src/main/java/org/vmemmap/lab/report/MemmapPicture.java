// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.report.MemmapSnapshot.Mapping;

/**
 * Draws which frames are behind the memmap pages of one hugepage, before and after.
 *
 * <p>A frame behind one page stands beside it; a frame behind several stands beside the last of
 * them, with a line from each. Of a long memmap only the first and last pages are drawn.
 */
public final class MemmapPicture {
  private static final int ALL_UP_TO = 12;
  private static final int FIRST = 4;
  private static final int LAST = 2;
  private static final int SKIPPED = -1;
  private static final String GAP = "   ";

  private final List<Integer> rows = new ArrayList<>();

  /** A picture of {@code pages} memmap pages. */
  public MemmapPicture(int pages) {
    int head = pages <= ALL_UP_TO ? pages : FIRST;
    for (int page = 0; page < head; page++) {
      rows.add(page);
    }
    if (pages > ALL_UP_TO) {
      rows.add(SKIPPED);
      for (int page = pages - LAST; page < pages; page++) {
        rows.add(page);
      }
    }
  }

  /** The pages that will be drawn; -1 stands for those left out. */
  public List<Integer> rows() {
    return List.copyOf(rows);
  }

  /** Both states side by side, a list of mappings for each page of {@link #rows}. */
  public String draw(List<Mapping> before, List<Mapping> after) {
    List<String> left = column("before", before);
    List<String> right = column("after", after);
    int width = left.stream().mapToInt(String::length).max().orElse(0);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < left.size(); i++) {
      String pad = " ".repeat(width - left.get(i).length());
      text.append("  ")
          .append((left.get(i) + pad + GAP + right.get(i)).stripTrailing())
          .append('\n');
    }
    return text.toString();
  }

  private List<String> column(String title, List<Mapping> mappings) {
    List<String> lines = new ArrayList<>();
    lines.add(title);
    lines.add("struct pages     page frame");
    for (int row = 0; row <= rows.size(); row++) {
      lines.add("+-----------+" + border(mappings, row));
      if (row < rows.size()) {
        lines.add("|" + label(rows.get(row)) + "|" + arrow(mappings, row));
      }
    }
    return lines;
  }

  private static String label(int page) {
    String text = page == SKIPPED ? "..." : Integer.toString(page);
    int left = (11 - text.length() + 1) / 2;
    return " ".repeat(left) + text + " ".repeat(11 - text.length() - left);
  }

  private String border(List<Mapping> mappings, int row) {
    boolean joined = row > 0 && row < rows.size() && sameFrame(mappings, row - 1, row);
    boolean box = hasBox(mappings, row) || hasBox(mappings, row - 1);
    return (joined ? "  |" : "   ") + (box ? "  +----------+" : "");
  }

  private String arrow(List<Mapping> mappings, int row) {
    Mapping mapping = mappings.get(row);
    boolean joined = row > 0 && sameFrame(mappings, row - 1, row);
    if (!mapping.present()) {
      return rows.get(row) == SKIPPED ? "" : "  not mapped";
    }
    if (!hasBox(mappings, row)) {
      return rows.get(row) == SKIPPED ? "  :" : " -+";
    }
    String line = joined ? " -+-> " : " ---> ";
    String frame = rows.get(row) == SKIPPED ? "..." : "0x" + Long.toHexString(mapping.frame());
    String right = mapping.writable() ? " rw" : " ro";
    return line.substring(0, 5)
        + "|"
        + center(frame)
        + "|"
        + (rows.get(row) == SKIPPED ? "" : right);
  }

  private static String center(String text) {
    int left = Math.max(0, (10 - text.length()) / 2);
    return " ".repeat(left) + text + " ".repeat(Math.max(0, 10 - text.length() - left));
  }

  /** True when the frame is drawn beside this row: no later neighbour maps it too. */
  private boolean hasBox(List<Mapping> mappings, int row) {
    return row >= 0
        && row < rows.size()
        && mappings.get(row).present()
        && !(row + 1 < rows.size() && sameFrame(mappings, row, row + 1));
  }

  private static boolean sameFrame(List<Mapping> mappings, int a, int b) {
    return mappings.get(a).present()
        && mappings.get(b).present()
        && mappings.get(a).frame() == mappings.get(b).frame();
  }
}
