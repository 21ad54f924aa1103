// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.machine;

/** Well placed: the others refer to it. */
public final class Frame {
  /** Its number. */
  public long number() {
    return 1;
  }
}
