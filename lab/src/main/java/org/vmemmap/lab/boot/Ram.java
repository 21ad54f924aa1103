// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

/**
 * A range of physical addresses on one node.
 *
 * @param start first byte
 * @param end first byte behind the range
 * @param node node number
 */
public record Ram(long start, long end, int node) {
  /** Refuses an empty or negative range. */
  public Ram {
    if (start < 0 || end <= start || node < 0) {
      throw new BadInput(
          "memory range 0x%x-0x%x node %d: wanted start below end, and a node of 0 or more"
              .formatted(start, end, node));
    }
  }

  /** Length in bytes. */
  public long size() {
    return end - start;
  }

  /** True when the two ranges share a byte. */
  public boolean overlaps(Ram other) {
    return start < other.end && other.start < end;
  }
}
