from numpy import array, exp, random, dot, ones, mean, abs

random.seed(1)
X = array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = array([[0, 1, 1, 0]]).T

syn0 = 2 * random.random((3, 6)) - 1
syn1 = 2 * random.random((6, 1)) - 1

def nonlin(x, deriv=False):
    if deriv:
        return x * (1 - x)
    return 1 / (1 + exp(-x))

for j in range(10000):
    l0 = X
    l1 = nonlin(dot(l0, syn0))
    l2 = nonlin(dot(l1, syn1))
    l2_error = y - l2
    if j % 2000 == 0:
        print("Error:" + str(mean(abs(l2_error))))
    l2_delta = l2_error * nonlin(l2, deriv=True)
    l1_error = l2_delta.dot(syn1.T)
    l1_delta = l1_error * nonlin(l1, deriv=True)
    syn1 += l1.T.dot(l2_delta)
    syn0 += l0.T.dot(l1_delta)
print("Error:" + str(mean(abs(l2_error))))
