// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.function.Executable;

/** What the machine says when it refuses something. */
final class Faults {
  private Faults() {}

  /** Does it, and expects a fault with exactly this message. */
  static void assertFault(String message, Executable what) {
    assertEquals(message, assertThrows(MachineFault.class, what).getMessage());
  }
}
