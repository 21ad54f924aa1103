// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.sparse;

/** Planted: a port that prints. */
final class Prints {
  void print() {
    System.out.println("printed");
  }
}
