// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/**
 * Who holds a frame. A program gives its owners as an enum that implements this; ordinal 0 is the
 * state of a frame that nobody has spoken for.
 */
public interface FrameOwner {
  /** The number of the owner, 0 to 127. */
  int ordinal();

  /** The name for messages. */
  String name();
}
