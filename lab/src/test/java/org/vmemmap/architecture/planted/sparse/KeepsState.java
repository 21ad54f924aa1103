// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.sparse;

/** Planted: state that two kernels would share. */
final class KeepsState {
  private static int count;

  int next() {
    return ++count;
  }
}
