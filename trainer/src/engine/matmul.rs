//! Matrix products on borrowed, strided views: the one door to the `gemm` crate.
//!
//! Views may overlap themselves when they are only read (rows that share elements), which is how a convolution
//! multiplies its windows without copying them apart; see `layers/conv.rs`.

use crate::engine::scalar::Scalar;

/// A matrix to read: element `(i, j)` is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `rows` x `cols` numbers, row after row.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// Rows that start `row_stride` numbers apart: more than `cols` skips, less overlaps.
    pub fn strided(data: &'a [T], rows: usize, cols: usize, row_stride: usize) -> Self {
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transposed view of the same numbers.
    pub fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// A matrix to write: rows of `cols` neighbours, starting `row_stride >= cols` numbers apart.
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// `rows` x `cols` numbers, row after row.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, row_stride: cols }
    }

    /// Rows that start `row_stride` numbers apart.
    pub fn strided(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize) -> Self {
        Self { data, rows, cols, row_stride }
    }
}

/// Whether all numbers of a strided view lie within the first `len`. What cannot be counted does not: `unsafe` code relies
/// on the answer, so nothing here may wrap.
fn fits(rows: usize, cols: usize, row_stride: usize, col_stride: usize, len: usize) -> bool {
    let last = |count: usize, stride: usize| (count - 1).checked_mul(stride);
    let end = || last(rows, row_stride)?.checked_add(last(cols, col_stride)?)?.checked_add(1);
    rows == 0 || cols == 0 || end().is_some_and(|end| end <= len)
}

/// A stride as the `gemm` crate takes it.
fn signed(stride: usize) -> isize {
    isize::try_from(stride).expect("strides are no longer than slices")
}

/// `dst = a b`, or `dst += a b` if `accumulate`. On the calling thread: parallelism is the batch's business.
///
/// # Panics
/// If the shapes do not fit each other or a view is longer than its data: a bug in a layer.
pub fn matmul<T: Scalar>(dst: MatrixMut<'_, T>, a: Matrix<'_, T>, b: Matrix<'_, T>, accumulate: bool) {
    assert_eq!((dst.rows, a.cols, b.cols), (a.rows, b.rows, dst.cols), "matmul shapes");
    assert!(dst.row_stride >= dst.cols || dst.rows <= 1, "rows to write must not overlap");
    assert!(fits(dst.rows, dst.cols, dst.row_stride, 1, dst.data.len()), "dst too short");
    for m in [&a, &b] {
        assert!(fits(m.rows, m.cols, m.row_stride, m.col_stride, m.data.len()), "operand too short");
    }
    // The gemm crate has no safe entry; the checks above make this one.
    #[allow(unsafe_code)]
    // SAFETY: `fits` has shown that every element of the three views lies in its slice; the rows of `dst` do not
    // overlap and `dst` is borrowed exclusively, so it cannot alias `a` or `b`; slices are shorter than `isize::MAX`.
    unsafe {
        gemm::gemm(
            dst.rows,
            dst.cols,
            a.cols,
            dst.data.as_mut_ptr(),
            1,
            signed(dst.row_stride),
            accumulate,
            a.data.as_ptr(),
            signed(a.col_stride),
            signed(a.row_stride),
            b.data.as_ptr(),
            signed(b.col_stride),
            signed(b.row_stride),
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, MatrixMut, matmul};

    #[test]
    fn overlapping_rows_multiply_like_their_copies() {
        // Windows of 4 at distance 2 over 0..9 against [1, 2, 3, 4] and [1, 0, -1, 0].
        let data: Vec<f32> = (0..9).map(|v| v as f32).collect();
        let b = [1.0, 1.0, 2.0, 0.0, 3.0, -1.0, 4.0, 0.0];
        let mut dst = [10.0f32; 6];
        let windows = Matrix::strided(&data, 3, 4, 2);
        matmul(MatrixMut::new(&mut dst, 3, 2), windows, Matrix::new(&b, 4, 2), true);
        assert_eq!(dst, [30.0, 8.0, 50.0, 8.0, 70.0, 8.0]);
        matmul(MatrixMut::new(&mut dst, 3, 2), windows, Matrix::new(&b, 4, 2), false);
        assert_eq!(dst, [20.0, -2.0, 40.0, -2.0, 60.0, -2.0]);
    }

    #[test]
    fn writes_strided_rows_and_reads_transposed() {
        let a = [1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut dst = [0.5f64; 7];
        matmul(
            MatrixMut::strided(&mut dst, 2, 3, 4),
            Matrix::new(&a, 3, 2).t(),
            Matrix::new(&a[..3], 3, 1).t().t_row(),
            false,
        );
        assert_eq!(dst, [22.0, 22.0, 22.0, 0.5, 28.0, 28.0, 28.0]);
    }

    impl<'a, T> Matrix<'a, T> {
        /// The 1 x 3 view turned into 3 equal columns: a stride of zero.
        fn t_row(self) -> Self {
            Self { data: self.data, rows: 3, cols: 3, row_stride: 1, col_stride: 0 }
        }
    }

    /// The product of rows and stride wraps to 0, which every slice would hold.
    #[test]
    #[should_panic(expected = "operand too short")]
    fn refuses_a_view_that_is_too_large_to_count() {
        let mut dst = [0.0f32; 3];
        let huge = Matrix::strided(&[1.0; 3], 3, 1, usize::MAX / 2 + 1);
        matmul(MatrixMut::new(&mut dst, 3, 1), huge, Matrix::new(&[1.0], 1, 1), false);
    }

    #[test]
    #[should_panic(expected = "operand too short")]
    fn refuses_a_view_past_its_data() {
        let mut dst = [0.0f32; 4];
        matmul(MatrixMut::new(&mut dst, 2, 2), Matrix::new(&[1.0; 3], 2, 2), Matrix::new(&[1.0; 4], 2, 2), false);
    }
}
