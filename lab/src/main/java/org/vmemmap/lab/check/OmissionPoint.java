// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

/**
 * A place in the port that calls a primitive of the machine, which may be left out.
 *
 * @param primitive as {@code Omissions} names it
 * @param symbol kernel function that calls it
 * @param file where that is
 * @param number which of the function's calls of this primitive, in the order of its lines, from 1
 */
public record OmissionPoint(String primitive, String symbol, String file, int number)
    implements Comparable<OmissionPoint> {
  @Override
  public int compareTo(OmissionPoint other) {
    return toString().compareTo(other.toString());
  }

  /** As lists of points have it: {@code mm/hugetlb_vmemmap.c vmemmap_split_pmd smp_wmb}. */
  @Override
  public String toString() {
    return file + " " + symbol + " " + primitive + (number == 1 ? "" : " #" + number);
  }
}
