// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.check.Exits;

/** The list of failure exits names functions of the port. */
class FailureExitsTest {
  /** Each exit has a method with the tag of its kernel function. Expect none without. */
  @Test
  void all_eachExit_isOfATaggedMethod() {
    List<KernelTag> tags = KernelTag.all();
    List<String> unknown =
        new Exits()
            .all().stream()
                .filter(exit -> tags.stream().noneMatch(tag -> is(tag, exit)))
                .map(Exits.Exit::toString)
                .toList();
    assertEquals(List.of(), unknown);
  }

  private static boolean is(KernelTag tag, Exits.Exit exit) {
    return tag.place().equals(exit.method() + "()")
        && tag.tag().file().equals(exit.file())
        && tag.tag().symbol().equals(exit.symbol());
  }
}
