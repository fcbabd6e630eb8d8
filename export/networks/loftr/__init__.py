"""LoFTR: where the same place lies in two pictures, found without keypoints.

Sun, Shen, Wang, Bao, Zhou 2021, doi:10.1109/CVPR46437.2021.00881. A convolutional backbone gives
features of cells 8 px wide; attention lets every cell look at its own picture and at the other one;
cells that choose each other match; a second look at finer features says where within the cell.

Coordinates: cell (row r, column c) stands for the pixel (8 r, 8 c), as strided convolutions with
odd kernels have it; a feature of the finer level for the pixel (2 r, 2 c).
"""
