// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The shape of what stands under {@code expect}: which keys there are, what their values mean, and
 * which lists are sets. The case format's document is its specification.
 */
sealed interface Shape {
  /** What a single value means. */
  enum Kind {
    /** A whole number. */
    INT("a whole number"),
    /** A whole number, or null where the capture could not read it. */
    INT_IF_READ("a whole number or null"),
    /** 64 bits as {@code 0x...}. */
    HEX("a string like \"0x1000\""),
    /** A word. */
    TEXT("a string"),
    /** True or false. */
    BOOL("true or false"),
    /** A number that says where to look; no fact in itself. */
    WHERE("a whole number"),
    /** Indexes that say where to look; no fact in itself. */
    INDEXES("a string like \"0,4-63\""),
    /** A mask under which another value is compared; no fact in itself. */
    MASK("a string like \"0xfff8000000000040\"");

    private final String wanted;

    Kind(String wanted) {
      this.wanted = wanted;
    }

    /** What a value of this kind looks like, for messages. */
    String wanted() {
      return wanted;
    }

    /** True when a value of this kind is no fact but says how to get at one. */
    boolean selects() {
      return this == WHERE || this == INDEXES || this == MASK;
    }
  }

  /** A single value. */
  record Leaf(Kind kind) implements Shape {}

  /** The words of a struct page. */
  record Words() implements Shape {}

  /** Runs of pfns, {@code [first, count, step]}: a set of numbers. */
  record Pfns() implements Shape {}

  /** A list whose order means something. */
  record Sequence(Shape item) implements Shape {}

  /** A list that is a set; {@code keys} name the members that tell the items apart. */
  record Items(Shape item, List<String> keys) implements Shape {}

  /**
   * An object with known keys; {@code required} are those without which nothing can be compared.
   */
  record Members(Map<String, Shape> known, Set<String> required) implements Shape {}

  /** An object whose keys are names, such as node numbers. */
  record Named(Shape value) implements Shape {}

  /** The keys of a step's {@code expect}. */
  Members EXPECT = Shapes.expect();

  /** The result fields of operations. */
  Members RESULTS = Shapes.results();
}
