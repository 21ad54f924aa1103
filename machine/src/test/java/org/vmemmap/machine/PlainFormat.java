// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/** Two levels of 512 entries, and what the contract gives to all who say no more. */
class PlainFormat implements PageTableFormat {
  @Override
  public String name() {
    return "plain";
  }

  @Override
  public int levels() {
    return 2;
  }

  @Override
  public int pageShift() {
    return 12;
  }

  @Override
  public int shift(int level) {
    return 12 + 9 * level;
  }

  @Override
  public int entries(int level) {
    return 512;
  }

  @Override
  public String levelName(int level) {
    return "level" + level;
  }

  @Override
  public boolean present(long entry, int level) {
    return entry != 0;
  }

  @Override
  public boolean leaf(long entry, int level) {
    return level == 0;
  }

  @Override
  public long address(long entry, int level) {
    return entry;
  }

  @Override
  public long flags(long entry, int level) {
    return 0;
  }

  @Override
  public boolean writable(long entry, int level) {
    return true;
  }

  @Override
  public boolean executable(long entry, int level) {
    return true;
  }

  @Override
  public long canonicalOffset(long va) {
    return va;
  }
}
