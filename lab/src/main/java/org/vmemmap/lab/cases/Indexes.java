// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.Arrays;
import java.util.StringJoiner;
import java.util.stream.LongStream;

/** The compact lists of case files: {@code "0,4-63"}, and runs {@code [first, count, step]}. */
final class Indexes {
  private Indexes() {}

  /**
   * The numbers of a list such as {@code 0,4-63}, in its order.
   *
   * @throws NumberFormatException when it is none
   */
  static long[] parse(String text) {
    LongStream.Builder all = LongStream.builder();
    for (String part : text.split(",", -1)) {
      int dash = part.indexOf('-');
      long first = number(dash < 0 ? part : part.substring(0, dash));
      long last = dash < 0 ? first : number(part.substring(dash + 1));
      if (last < first) {
        throw new NumberFormatException("range " + part + " runs backwards");
      }
      LongStream.rangeClosed(first, last).forEach(all);
    }
    return all.build().toArray();
  }

  private static long number(String text) {
    if (text.isEmpty() || !text.chars().allMatch(Character::isDigit)) {
      throw new NumberFormatException("\"" + text + "\" is no number");
    }
    return Long.parseLong(text);
  }

  /** The compact form of ascending numbers. */
  static String format(long[] ascending) {
    StringJoiner text = new StringJoiner(",");
    for (int i = 0; i < ascending.length; ) {
      int last = i;
      while (last + 1 < ascending.length && ascending[last + 1] == ascending[last] + 1) {
        last++;
      }
      text.add(last == i ? Long.toString(ascending[i]) : ascending[i] + "-" + ascending[last]);
      i = last + 1;
    }
    return text.toString();
  }

  /** {@code count} numbers from {@code first} on, {@code step} apart. */
  static LongStream run(long first, long count, long step) {
    return LongStream.range(0, count).map(i -> first + i * step);
  }

  /** Numbers as runs of equal steps, for people: {@code [1049088,63,512] [1081856,1,0]}. */
  static String runs(long[] numbers) {
    long[] sorted = numbers.clone();
    Arrays.sort(sorted);
    StringJoiner text = new StringJoiner(" ");
    for (int i = 0; i < sorted.length; ) {
      long step = i + 1 < sorted.length ? sorted[i + 1] - sorted[i] : 0;
      int count = 1;
      while (i + count < sorted.length && sorted[i + count] - sorted[i + count - 1] == step) {
        count++;
      }
      text.add("[" + sorted[i] + "," + count + "," + (count > 1 ? step : 0) + "]");
      i += count;
    }
    return text.toString();
  }
}
