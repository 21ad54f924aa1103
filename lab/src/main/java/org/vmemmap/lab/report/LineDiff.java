// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.List;

/** The lines in which two texts differ. */
public final class LineDiff {
  /** Above that many pairs of lines a stretch is not searched for equal lines. */
  private static final long MOST_PAIRS = 1L << 24;

  private final List<String> one;
  private final List<String> other;
  private final StringBuilder out = new StringBuilder();
  private int equal;

  private LineDiff(List<String> one, List<String> other) {
    this.one = one;
    this.other = other;
  }

  /**
   * As diff shows it: a heading for each side, then {@code -} for lines of the first and {@code +}
   * for lines of the second; the equal lines between are counted.
   */
  public static String of(String name, String text, String otherName, String otherText) {
    LineDiff diff = new LineDiff(text.lines().toList(), otherText.lines().toList());
    diff.compare();
    return "--- " + name + "\n+++ " + otherName + "\n" + diff.out;
  }

  private void compare() {
    int start = 0;
    int end = one.size();
    int otherEnd = other.size();
    while (start < Math.min(end, otherEnd) && one.get(start).equals(other.get(start))) {
      start++;
    }
    while (end > start
        && otherEnd > start
        && one.get(end - 1).equals(other.get(otherEnd - 1))) {
      end--;
      otherEnd--;
    }
    equal = start;
    middle(one.subList(start, end), other.subList(start, otherEnd));
    equal += one.size() - end;
    flush();
  }

  /** Along a longest common subsequence. */
  private void middle(List<String> left, List<String> right) {
    int[][] common = common(left, right);
    List<String> removed = new ArrayList<>();
    List<String> added = new ArrayList<>();
    int i = 0;
    int j = 0;
    while (i < left.size() || j < right.size()) {
      boolean both = i < left.size() && j < right.size();
      if (both && common.length > 0 && left.get(i).equals(right.get(j))) {
        write(removed, added);
        equal++;
        i++;
        j++;
      } else if (j == right.size() || (both && prefersLeft(common, i, j))) {
        removed.add(left.get(i++));
      } else {
        added.add(right.get(j++));
      }
    }
    write(removed, added);
  }

  private static boolean prefersLeft(int[][] common, int i, int j) {
    return common.length == 0 || common[i + 1][j] >= common[i][j + 1];
  }

  /** Length of the longest common subsequence from each pair on; empty when there are too many. */
  private static int[][] common(List<String> left, List<String> right) {
    if ((long) left.size() * right.size() > MOST_PAIRS) {
      return new int[0][];
    }
    int[][] length = new int[left.size() + 1][right.size() + 1];
    for (int i = left.size() - 1; i >= 0; i--) {
      for (int j = right.size() - 1; j >= 0; j--) {
        length[i][j] =
            left.get(i).equals(right.get(j))
                ? length[i + 1][j + 1] + 1
                : Math.max(length[i + 1][j], length[i][j + 1]);
      }
    }
    return length;
  }

  private void write(List<String> removed, List<String> added) {
    if (removed.isEmpty() && added.isEmpty()) {
      return;
    }
    flush();
    removed.forEach(line -> out.append('-').append(line).append('\n'));
    added.forEach(line -> out.append('+').append(line).append('\n'));
    removed.clear();
    added.clear();
  }

  private void flush() {
    if (equal > 0) {
      out.append("  ").append(equal).append(equal == 1 ? " equal line\n" : " equal lines\n");
      equal = 0;
    }
  }
}
