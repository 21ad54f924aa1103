// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/** Owners for the tests of the machine, which knows no kernel. */
enum TestOwner implements FrameOwner {
  NOBODY,
  FREE,
  TABLE,
  DATA
}
