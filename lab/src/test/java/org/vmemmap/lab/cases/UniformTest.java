// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Many values that should be one. */
class UniformTest {
  /** Equal values are the value. */
  @Test
  void value_allEqual_isTheValue() {
    Uniform values = new Uniform();
    values.add("0x0");
    values.add("0x0");

    assertEquals("0x0", values.value());
  }

  /** Different values are a text that equals none of them. */
  @Test
  void value_different_saysWhichAndHowMany() {
    Uniform values = new Uniform();
    values.add("0x0");
    values.add("0x400");
    values.add("0x0");

    assertEquals("not uniform: 0x0 (2), 0x400 (1)", values.value());
  }

  /** No value at all is no value. */
  @Test
  void value_none_isNothing() {
    assertEquals("(nothing)", new Uniform().value());
  }

  /** Columns of rows are looked at one by one. */
  @Test
  void columns_oneColumnDiffers_othersStay() {
    List<List<Object>> rows = List.of(List.of("a", "b"), List.of("a", "c"));

    assertEquals(List.of("a", "not uniform: b (1), c (1)"), Uniform.columns(rows));
  }
}
