// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;

/**
 * Which of the fallible steps of a run fail, counted from 1, and where they are.
 *
 * @param mode {@code none}, {@code only}, {@code from}, {@code pair}, or {@code same}: the step and all
 *     later ones at its place
 * @param first the step that fails, or the first of them
 * @param second the other step of a pair; 0 otherwise
 */
public record Selection(String mode, long first, long second) {
  private static final int MOST = 1_000_000;
  private static final Pattern FORM =
      Pattern.compile("(only|from|pair) ([1-9][0-9]{0,8})(?:,([1-9][0-9]{0,8}))?");

  /** Nothing fails. */
  static final Selection NONE = new Selection("none", 0, 0);

  static Selection only(long n) {
    return new Selection("only", n, 0);
  }

  static Selection from(long n) {
    return new Selection("from", n, 0);
  }

  static Selection pair(long n, long m) {
    return new Selection("pair", n, m);
  }

  static Selection same(long n) {
    return new Selection("same", n, 0);
  }

  boolean hits(long n) {
    return switch (mode) {
      case "only", "same" -> n == first;
      case "from" -> n >= first;
      case "pair" -> n == first || n == second;
      default -> false;
    };
  }

  /**
   * Reads what {@link #option} wrote: {@code 17}, {@code 17+} or {@code 17,23}.
   *
   * @throws BadInput for anything else
   */
  public static Selection parseOption(String text) {
    int comma = text.indexOf(',');
    if (text.endsWith("+")) {
      return from(Numbers.parse("--fail", text.substring(0, text.length() - 1), 1, MOST));
    } else if (comma < 0) {
      return only(Numbers.parse("--fail", text, 1, MOST));
    }
    int first = Numbers.parse("--fail", text.substring(0, comma), 1, MOST - 1);
    return pair(first, Numbers.parse("--fail", text.substring(comma + 1), first + 1, MOST));
  }

  /** As the option {@code --fail} takes it; empty for none. */
  String option() {
    return switch (mode) {
      case "only" -> Long.toString(first);
      case "from" -> first + "+";
      case "pair" -> first + "," + second;
      default -> "";
    };
  }

  /**
   * Reads what {@link #text} wrote.
   *
   * @throws BadInput for anything else
   */
  static Selection parse(String text) {
    Matcher matcher = FORM.matcher(text.strip());
    if (!matcher.matches() || matcher.group(1).equals("pair") != (matcher.group(3) != null)) {
      throw new BadInput("failing \"" + text.strip() + "\": wanted only N, from N or pair N,M");
    }
    long second = matcher.group(3) == null ? 0 : Long.parseLong(matcher.group(3));
    return new Selection(matcher.group(1), Long.parseLong(matcher.group(2)), second);
  }

  /** As in {@code only 7} or {@code pair 3,9}. */
  String text() {
    return mode + " " + first + (second == 0 ? "" : "," + second);
  }

  /** Counts the steps of one run; to be given to the machine's fault injection. */
  static final class Counter implements Predicate<String> {
    private final Selection selection;
    private final List<String> sites = new ArrayList<>();
    private final int before;

    Counter(Selection selection) {
      this(selection, 0);
    }

    /** For a run that goes on where {@code before} steps have been counted, none of which failed. */
    Counter(Selection selection, int before) {
      this.selection = selection;
      this.before = before;
    }

    /** How many steps there were, those before included. */
    int count() {
      return before + sites.size();
    }

    @Override
    public boolean test(String site) {
      sites.add(site);
      return selection.hits(count()) || isSame(site);
    }

    private boolean isSame(String site) {
      boolean later = selection.mode.equals("same") && count() > selection.first;
      return later && sites.get((int) selection.first - before - 1).equals(site);
    }

    /** The sites met, in order. */
    List<String> sites() {
      return List.copyOf(sites);
    }
  }
}
